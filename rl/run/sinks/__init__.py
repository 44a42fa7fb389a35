"""Where metrics go beside the CSV files: TensorBoard, Weights & Biases, MLflow, trackio. A file each."""

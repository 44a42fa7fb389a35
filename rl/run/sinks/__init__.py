"""Where metrics go besides the CSV files: TensorBoard, Weights & Biases, MLflow, trackio; one file each."""

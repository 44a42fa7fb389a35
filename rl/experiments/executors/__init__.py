"""Where runs train: in processes of this machine, on a Ray cluster, or as SLURM jobs."""

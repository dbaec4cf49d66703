"""The slurm backend: runs jobs as Slurm batch jobs, each rank in an Apptainer container."""

from container_executor_slurm.backend import SlurmBackend

__all__ = ["SlurmBackend"]

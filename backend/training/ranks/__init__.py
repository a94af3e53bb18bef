"""Training on several processes: ranks of Horovod on Spark, proved equal to one process."""

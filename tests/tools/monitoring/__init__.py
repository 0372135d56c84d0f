"""The files of deploy/ that show and judge what the service exports."""

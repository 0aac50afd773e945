"""Sharing workers among studies, and predicting how a job scales over devices."""

"""Regression models over arrays, for samplers and schedulers: they know no study.

Each is one file, and imports the library that it is made with when it is first fitted.
"""

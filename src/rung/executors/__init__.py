"""Where jobs run: in line, in local processes, on a virtual clock."""

"""How long a training step takes on 1, 2, 4, ... devices, from the network's layers and a table of hardware.

After Paleo (Qi, Sparks and Talwalkar, ICLR 2017, "Paleo: A Performance Model for Deep Neural Networks"): a
network says by itself what it computes and what it moves; a device says how fast it can do either; a scheme
of communication says what the gradients cost. `tracing` reads a torch module, `hardware` the tables,
`predict` puts them together; `measuring` and `calibrating` replace tables by measurements.
"""

"""The networks of the service: the Moebius U-Net, the autoencoders and their weights. Needs torch alone."""

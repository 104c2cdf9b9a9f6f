"""Other model services, each as its documentation shows it, in a virtual environment of its own.

The modules here run inside those environments. What they serve comes from variables: PEER_WEIGHTS (one of our model
files), PEER_DETECTOR (usual | ours), PEER_RUNTIME, PEER_PRECISION, PEER_THREADS, PEER_PORT.
"""

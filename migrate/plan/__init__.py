"""What is to be exported of one MetaGraphDef: graphs, signatures, variables, functions. Starts no TensorFlow."""

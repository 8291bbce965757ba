"""How the starter model is made: the drawing, the words, the towers, the training. Needs torch; pixfind does not."""

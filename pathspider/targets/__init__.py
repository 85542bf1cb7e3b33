"""What is measured: lists of targets read, checked, told apart, left out; names and their addresses."""

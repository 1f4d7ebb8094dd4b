"""Files of trees: documents, and the reasons why other files are left out."""

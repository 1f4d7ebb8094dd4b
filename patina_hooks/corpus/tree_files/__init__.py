"""Files of trees: which of them are documents, and the reasons why others are not."""

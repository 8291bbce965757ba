"""The starter model: data only. Made by `python -m training.train`; what it is and is not for stands in card.json."""

"""What is to be done with this data and this model: prompt it, tune it, collect more, or look things up."""

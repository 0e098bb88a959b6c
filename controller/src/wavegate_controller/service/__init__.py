"""The use-cases: what a person may ask for and what the reconciler does. One transaction each."""

"""What people decide about answers: pins, boosts and blocks, and how they change what the search found."""

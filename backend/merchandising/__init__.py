"""What a merchandiser makes of answers: rules that are kept, lists that are checked, tables that a shop reads."""

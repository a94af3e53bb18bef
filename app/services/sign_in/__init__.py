"""The sign-in, as far as it is Streamlit's."""

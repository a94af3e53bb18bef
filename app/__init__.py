"""The app's plumbing: navigation, services, state, notices and components; it knows Streamlit and nothing heavy."""

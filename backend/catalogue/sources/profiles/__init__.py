"""The layouts in which shop systems export their products, a module each."""

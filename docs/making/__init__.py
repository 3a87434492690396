"""Making the site: what is read off the package, the notebooks and the command becomes pages that Sphinx can read."""

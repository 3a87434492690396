"""Sphinx's settings for the site; ``build.py`` puts them beside what it stages."""

from unispeech_lab import __version__

project, author, release = "UniSpeech Lab", "the UniSpeech Lab authors", __version__
copyright = "the UniSpeech Lab authors, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx.ext.viewcode", "making.source", "making.terms"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_heading_slug_func = "making.source.jupyter"  # the notebooks' own links are JupyterLab's
nb_execution_mode = "off"  # what is shown is what the notebooks were stored with
nb_number_source_lines = False
nb_merge_streams = True
nb_render_markdown_format = "myst"  # outputs hold tables, which plain CommonMark has not

add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
python_display_short_literal_types = True
viewcode_follow_imported_members = False

# MathJax comes along as one file; its menu would ask for more
mathjax_path = "mathjax.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}

html_theme = "furo"
html_title = "UniSpeech Lab"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_copy_source = False
html_domain_indices = False  # the reference is by rooms
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

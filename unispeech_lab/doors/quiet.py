"""Quiet: weights go into a folder without a progress bar, which over one file says nothing."""

from transformers.utils import logging


class SavesQuietly:
    """``save_pretrained`` as transformers has it, its bar left out: training in a notebook would leave one a run."""

    def save_pretrained(self, *args, **options):
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            return super().save_pretrained(*args, **options)
        finally:
            if shown:
                logging.enable_progress_bar()

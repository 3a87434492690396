"""Recipes: interventions written down as data, so that they run on another model.

    recipe = Recipe.load("every_head.json")
    rows = recipe.run(model, corpus)              # a DataFrame, a row an intervention, intervals over utterances

A recipe is a JSON file (``recipe.py``) of interventions (``interventions.py``); where in a model they act is written
so that it means something in a model of another depth, too (``places.py``).
"""

from unispeech_lab.recipes.interventions import Codewords, Heads, Layers, Phones
from unispeech_lab.recipes.recipe import Recipe

__all__ = ["Codewords", "Heads", "Layers", "Phones", "Recipe"]

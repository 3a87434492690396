"""Rooms: which module stands on which page of the reference."""

from .modules import PACKAGE, Module, modules

# A module stands in the room that names it, or the folder it is in; one that none names is a tool.
ROOMS = {
    "model": (
        "The model",
        "Four models with Hugging Face's names, their config, and the doors through which checkpoints come in.",
        "model config heads hearing preparation checkpoints doors convert saving",
    ),
    "layers": ("Layers", "The layers, plain `nn.Module`, one concept a file.", "nn frames"),
    "watching": (
        "Watching and changing",
        "What any layer of any model said in one forward, and what happens if it says something else.",
        "trace survey depth",
    ),
    "speech": (
        "Speech",
        "Utterances with their phones and times; where they come from, and how speech is made.",
        "corpus corpora audio recording listen espeak inventory vocabulary pronunciation",
    ),
    "alignment": (
        "Reading and aligning",
        "Connectionist temporal classification from posteriors to phones with times, scores and errors.",
        "ctc alignment posteriors boundaries error_rates",
    ),
    "training": (
        "Training",
        "One step, one loop, its loss and its health; pretraining and fine-tuning.",
        "objective pretrain finetune batches targets augment settings run seeds measures evaluation compare race live "
        "health gallery codebook pace progress interrupt",
    ),
    "variants": ("Variants", "Pretraining ideas, one file each; the folder is the list.", "variants"),
    "analysis": (
        "Analysis",
        "Arrays in, arrays and tables out, each with its paper.",
        "analysis analyse recipes",
    ),
    "views": ("Views", "Pictures, one file each: plain arrays in, panels out.", "views"),
    "tools": ("Tools", "The lab, the app, the report, the course, and what they share.", ""),
}


def room_of(module: Module) -> str:
    top = module.name.split(".")[0]
    return next((slug for slug, (_, _, names) in ROOMS.items() if top in names.split()), "tools")


def page_of(module: Module) -> str:
    """A module's page, with the way back to its room."""
    slug = room_of(module)
    return module.page(slug, ROOMS[slug][0])


def page(slug: str) -> str:
    """A room: its modules, what each is, and what each offers."""
    title, sentence, _ = ROOMS[slug]
    rows = [f"# {title}", "", sentence, ""]
    for module in modules():
        if module.name and room_of(module) == slug:
            rows += [f"**[{module.name}](modules/{module.full}.rst)**", ""]
            names = {node.name: f"{module.full}.{node.name}" for node in module.public}
            names |= {
                name: f"{home.full}.{name}" for name, (home, node) in module.handed_on.items() if node in home.public
            }
            offered = " · ".join(f"{{py:obj}}`{name} <{full}>`" for name, full in names.items())
            rows += [f": {markdown(module.first_line)}" + (f"\n\n  {offered}" if offered else ""), ""]
    return "\n".join(rows)


def index() -> str:
    """The reference's first page: the public names, the rooms, the letters of shapes."""
    public = Module(PACKAGE / "__init__.py")
    names: dict[str, str] = next(
        {key.value: value.value for key, value in zip(node.value.keys, node.value.values, strict=True)}
        for node in public.tree.body
        if getattr(node, "targets", None) and node.targets[0].id == "PUBLIC"
    )
    rows = [
        "# Reference",
        "",
        "Every public class and function: its arguments, shapes, units, errors, and its source. Commands have",
        "[a page of their own](commands.md).",
        "",
        "## Names at the door",
        "",
        "What `from unispeech_lab import …` gives:",
        "",
        "| | |",
        "|---|---|",
    ]
    for name, home in names.items():
        module = f"{PACKAGE.name}.{home}"
        rows.append(f"| {{py:obj}}`{name} <{found(home, name)}>` | {{py:mod}}`{home} <{module}>` |")
    rows += ["", "## Rooms", "", "| | |", "|---|---|"]
    rows += [f"| [{title}]({slug}.md) | {sentence} |" for slug, (title, sentence, _) in ROOMS.items()]
    rows += [
        "",
        "## Shapes",
        "",
        "One letter is one thing everywhere: `b` utterance, `n` sample, `t` frame, `d` width, `c` conv channel,",
        "`h` head, `g` group, `v` code or codeword. Time is in seconds outside and in frames inside; only",
        "{py:mod}`frames <unispeech_lab.frames>` converts.",
        "",
        "```{toctree}\n:hidden:\n",
        *ROOMS,
        "commands",
        "```",
    ]
    return "\n".join(rows)


def found(home: str, name: str) -> str:
    """The full name of what a module or its folder gives under a name."""
    for module in modules():
        there = module.name == home or module.name.startswith(f"{home}.")
        if there and any(node.name == name for node in module.public):
            return f"{module.full}.{name}"
    return f"{PACKAGE.name}.{home}"


def markdown(sentence: str) -> str:
    return sentence.replace("``", "`").replace("<", "\\<").replace("*", "\\*").replace("[", "\\[")

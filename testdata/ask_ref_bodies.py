"""Asks a v1 Session what ref ops in the functions of an If, While, Case or call compute; prints a table.

No Python API writes such graphs (see ask_functional_refs.py), so they are written here as GraphDefs. Run it with
TensorFlow 1.15, and with TensorFlow 2: `python testdata/ask_ref_bodies.py [FORM [KIND...]]`.
"""

import sys

import tensorflow as tf

v1 = tf.compat.v1
FLOAT, BOOL, INT32 = 1, 10, 3
KINDS = ("If", "StatelessIf", "Case", "While", "StatelessWhile", "PartitionedCall", "StatefulPartitionedCall", "Defun")
CONTROL = ("If", "StatelessIf", "Case", "While", "StatelessWhile")


def node(where, name, op, *inputs, **attrs):
    made = where.add(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        attr = made.attr[key]
        if key in ("T", "dtype", "Tcond", "Tidx", "SrcT", "DstT"):
            attr.type = value
        elif key in ("Tin", "Tout"):
            attr.list.SetInParent()
            attr.list.type.extend(value)
        elif key in ("f", "then_branch", "else_branch", "cond", "body"):
            attr.func.name = value
        elif key == "branches":
            for each in value:
                attr.list.func.add(name=each)
        elif key == "shape":
            attr.shape.SetInParent()
            for size in value:
                attr.shape.dim.add(size=size)
        elif key == "value":
            attr.tensor.CopyFrom(v1.make_tensor_proto(value))
        elif isinstance(value, bool):
            attr.b = value
        else:
            attr.s = value.encode()
    return made


def variable(where, shared, name="v"):
    node(where, name, "VariableV2", shape=[2], dtype=FLOAT, shared_name=shared)


def function(graph, name, fill, argument=FLOAT, is_ref=False, result=FLOAT):
    made = graph.library.function.add()
    made.signature.name = name
    made.signature.is_stateful = True
    made.signature.input_arg.add(name="a", type=argument, is_ref=is_ref)
    made.signature.output_arg.add(name="y", type=result)
    made.ret["y"] = fill(made.node_def)


def adds(shared):
    def fill(body):
        variable(body, shared)
        node(body, "add", "AssignAdd", "v:ref:0", "a", T=FLOAT)
        node(body, "y", "Identity", "add:output_ref:0", T=FLOAT)
        return "y:output:0"

    return fill


def sets(shared):
    def fill(body):
        variable(body, shared)
        node(body, "set", "Assign", "v:ref:0", "a", T=FLOAT)
        node(body, "y", "Identity", "set:output_ref:0", T=FLOAT)
        return "y:output:0"

    return fill


def sets_and_adds(shared):
    def fill(body):
        variable(body, shared)
        node(body, "set", "Assign", "v:ref:0", "a", T=FLOAT)
        node(body, "add", "AssignAdd", "set:output_ref:0", "a", T=FLOAT)
        node(body, "one", "Const", dtype=FLOAT, value=[1.0, 1.0])
        node(body, "y", "Add", "add:output_ref:0", "one:output:0", T=FLOAT)
        return "y:z:0"

    return fill


def adds_unseen(shared):
    """A write that no output needs."""

    def fill(body):
        variable(body, shared)
        node(body, "add", "AssignAdd", "v:ref:0", "a", T=FLOAT)
        node(body, "y", "Add", "a", "a", T=FLOAT)
        return "y:z:0"

    return fill


def alias_then_add(shared):
    """An alias is taken, the variable written, and then the alias computed with."""

    def fill(body):
        variable(body, shared)
        node(body, "r", "Identity", "v:ref:0", T=FLOAT)
        node(body, "add", "AssignAdd", "v:ref:0", "a", "^r", T=FLOAT)
        node(body, "y", "Add", "r:output:0", "a", "^add", T=FLOAT)
        return "y:z:0"

    return fill


def of_ref_argument(body):
    node(body, "add", "AssignAdd", "a", "a", T=FLOAT)
    node(body, "y", "Identity", "add:output_ref:0", T=FLOAT)
    return "y:output:0"


def plain(body):
    node(body, "y", "Neg", "a", T=FLOAT)
    return "y:y:0"


def positive(body):
    """Whether the first of two numbers is less than 4."""
    node(body, "most", "Const", dtype=FLOAT, value=[4.0, 1e30])
    node(body, "less", "Less", "a", "most:output:0", T=FLOAT)
    node(body, "axis", "Const", dtype=INT32, value=[0])
    node(body, "y", "All", "less:z:0", "axis:output:0", Tidx=INT32)
    return "y:output:0"


def start():
    graph = v1.GraphDef()
    graph.versions.producer = 27
    node(graph.node, "x", "Placeholder", dtype=FLOAT, shape=[2])
    node(graph.node, "p", "Placeholder", dtype=BOOL, shape=[])
    node(graph.node, "i", "Cast", "p", SrcT=BOOL, DstT=INT32)
    function(graph, "positive", positive, result=BOOL)
    function(graph, "plain", plain)
    return graph


def call(graph, kind, name, taken, other="plain", argument="x", lowered=False):
    """A node of a kind that runs `taken` where p holds."""
    common = {"_lower_using_switch_merge": lowered} if kind in CONTROL else {}
    where = graph.node
    if kind.endswith("If"):
        node(
            where,
            name,
            kind,
            "p",
            argument,
            Tcond=BOOL,
            Tin=[FLOAT],
            Tout=[FLOAT],
            then_branch=taken,
            else_branch=other,
            **common,
        )
    elif kind == "Case":
        node(where, name, kind, "i", argument, Tin=[FLOAT], Tout=[FLOAT], branches=[other, taken], **common)
    elif kind.endswith("While"):
        made = node(where, name, kind, argument, cond="positive", body=taken, **common)
        made.attr["T"].list.type.append(FLOAT)
    elif kind == "Defun":
        node(where, name, taken, argument)
    else:
        node(where, name, kind, argument, Tin=[FLOAT], Tout=[FLOAT], f=taken)


def main_variable(graph, shared, name="v"):
    variable(graph.node, shared, name)
    node(graph.node, "zero", "Const", dtype=FLOAT, value=[0.0, 0.0])
    node(graph.node, "init", "Assign", name, "zero", T=FLOAT)
    node(graph.node, "get", "Mul", name, "two", T=FLOAT)
    node(graph.node, "two", "Const", dtype=FLOAT, value=[2.0, 2.0])


Y, YES = "c:0", {"x": [1.0, 0.5], "p": True}
NO = {"x": [1.0, 0.5], "p": False}


def form(name, kind, lowered):
    """A graph, and the fetches and feeds of its calls."""
    graph = start()
    shared = "kept" if "shared" in name else ""
    if name.startswith("no main variable"):
        function(graph, "f", adds(shared))
        call(graph, kind, "c", "f", lowered=lowered)
        return graph, [(Y, YES), (Y, YES)]
    if name.startswith("main variable"):
        function(graph, "f", adds(shared))
        main_variable(graph, shared, "v" if not shared else "w")
        call(graph, kind, "c", "f", lowered=lowered)
        return graph, [("init", {}), (Y, YES), (Y, YES), (Y, NO), ("get:0", {}), (Y, YES)]
    if name.startswith("scratch"):
        function(graph, "f", sets_and_adds(shared))
        call(graph, kind, "c", "f", lowered=lowered)
        return graph, [(Y, YES), (Y, YES)]
    if name.startswith("one branch sets, one adds"):
        function(graph, "f", sets(shared))
        function(graph, "g", adds(shared))
        call(graph, kind, "c", "f", "g", lowered=lowered)
        return graph, [(Y, YES), (Y, NO), (Y, NO), (Y, YES), (Y, NO)]
    if name.startswith("two call sites"):
        function(graph, "f", sets(shared))
        function(graph, "g", adds(shared))
        call(graph, kind, "d", "f", lowered=lowered)
        call(graph, kind, "c", "g", argument="d", lowered=lowered)
        return graph, [(Y, YES), (Y, YES)]
    if name.startswith("other fetches"):
        function(graph, "f", sets(shared))
        function(graph, "g", adds(shared))
        call(graph, kind, "c", "f", "g", lowered=lowered)
        node(graph.node, "e", "Neg", Y, T=FLOAT)
        return graph, [(Y, YES), ("e:0", NO), (Y, NO), ("e:0", NO)]
    if name.startswith("a write that no output needs"):
        function(graph, "f", adds_unseen(shared))
        main_variable(graph, shared, "v" if not shared else "w")
        call(graph, kind, "c", "f", lowered=lowered)
        return graph, [("init", {}), (Y, YES), (Y, YES), ("get:0", {})]
    if name.startswith("an alias"):
        function(graph, "f", alias_then_add(shared))
        main_variable(graph, shared, "v" if not shared else "w")
        call(graph, kind, "c", "f", lowered=lowered)
        return graph, [("init", {}), (Y, YES), (Y, YES), ("get:0", {})]
    if name == "a ref argument":
        function(graph, "f", of_ref_argument, is_ref=True)
        main_variable(graph, "", "v")
        call(graph, kind, "c", "f", argument="v", lowered=lowered)
        return graph, [("init", {}), (Y, YES), (Y, YES), ("get:0", {})]
    raise LookupError(name)


FORMS = (
    "no main variable",
    "no main variable, shared_name",
    "main variable of its name",
    "main variable, shared_name",
    "scratch",
    "scratch, shared_name",
    "one branch sets, one adds",
    "one branch sets, one adds, shared_name",
    "two call sites",
    "two call sites, shared_name",
    "other fetches",
    "other fetches, shared_name",
    "a write that no output needs",
    "a write that no output needs, shared_name",
    "an alias",
    "an alias, shared_name",
    "a ref argument",
)


def ask(graph, calls, optimise):
    config = v1.ConfigProto(inter_op_parallelism_threads=2, intra_op_parallelism_threads=1)
    if not optimise:
        config.graph_options.optimizer_options.opt_level = -1
        config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default() as made:
        try:
            tf.import_graph_def(graph, name="")
        except Exception as error:
            return f"import: {type(error).__name__}: {str(error).splitlines()[0][:90]}"
        told = []
        with v1.Session(graph=made, config=config) as session:
            for fetch, feeds in calls:
                try:
                    found = session.run(fetch, {key + ":0": value for key, value in feeds.items()})
                except Exception as error:
                    told.append(f"{type(error).__name__}: {str(error).splitlines()[0][:70]}")
                    continue
                if found is not None:
                    told.append(f"{found[0]:g}")
        return ", ".join(told)


def main():
    v1.disable_eager_execution()
    forms = sys.argv[1:2] or FORMS
    for name in forms:
        print(name)
        for kind in sys.argv[2:] or KINDS:
            for lowered in (False, True) if kind in CONTROL else (False,):
                graph, calls = form(name, kind, lowered)
                plain, optimised = ask(graph, calls, False), ask(graph, calls, True)
                told = plain if plain == optimised else f"{plain} | optimised: {optimised}"
                print("  {}{}: {}".format(kind, " lowered" if lowered else "", told), flush=True)


if __name__ == "__main__":
    main()

"""Nodes of a candidate against the source's nodes of their names. No TensorFlow."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.verify.same_nodes import node_differences

FLOAT, RESOURCE = 1, 20


def _nodes(holder, nodes):
    for name, op, inputs, attributes in nodes:
        node = holder.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            field = {bool: "b", int: "i", float: "f", bytes: "s"}.get(type(value))
            if field is None:
                node.attr[key].type = value[0]
            else:
                setattr(node.attr[key], field, value)


def _source(*nodes, inputs=("x:0",)):
    graph = MetaGraphDef()
    _nodes(graph.graph_def.node, nodes)
    for name in inputs:
        graph.signature_def["s"].inputs[name].name = name
    return graph


def _candidate(*nodes, arguments=("argument_0",)):
    """A candidate whose only function has these nodes, and is an object's."""
    graph = MetaGraphDef()
    function = graph.graph_def.library.function.add()
    function.signature.name = "f"
    for name in arguments:
        function.signature.input_arg.add(name=name)
    _nodes(function.node_def, nodes)
    graph.object_graph_def.concrete_functions["f"].SetInParent()
    return graph


def _told(source, candidate):
    return [(m.output, m.reason) for m in node_differences([source], candidate, "contract")]


_JPEG = ("d", "DecodeJpeg", ["x"], {"acceptable_fraction": 0.5, "channels": 3})


@pytest.mark.parametrize(
    ("source", "candidate"),
    [
        ([_JPEG], [("d", "DecodeJpeg", ["argument_0"], {"acceptable_fraction": 0.5, "channels": 3})]),
        # A default may be given or not, a mark may be there or not.
        ([("d", "DecodeJpeg", ["x"], {})], [("d", "DecodeJpeg", ["argument_0"], {"ratio": 1, "_mark": True})]),
        # An output of that name gives the node a number.
        (
            [("y", "Neg", ["x"], {}), ("z", "Abs", ["y"], {})],
            [("y_0", "Neg", ["argument_0"], {}), ("z", "Abs", ["y_0"], {})],
        ),
        # So it does where a function of the source has a node of that name.
        (
            [("y", "Neg", ["x"], {}), ("y_0", "Abs", ["x"], {}), ("z", "Exp", ["y"], {})],
            [("y_0", "Neg", ["argument_0"], {}), ("z", "Exp", ["y_0"], {})],
        ),
        # The end of a loop through which TF1 gives no gradient, and a Merge of which the index is taken.
        ([("e", "Exit", ["x"], {})], [("e", "StopGradient", ["argument_0"], {})]),
        ([("m", "Merge", ["x", "x"], {})], [("m", "IdentityN", ["argument_0", "argument_0"], {})]),
        # What reads, hands on and counts; what is in the place of what TensorFlow 2 lacks, and of a call.
        ([_JPEG], [("d/in0/ReadVariableOp", "ReadVariableOp", ["argument_0"], {})]),
        ([_JPEG], [("loop_counter/next", "AddV2", ["argument_0"], {})]),
        ([("g", "GatherTree", ["x"], {})], [("g/steps", "GatherV2", ["argument_0"], {}), ("g/steps_1", "Neg", [], {})]),
        ([("call", "f", ["x"], {})], [("call/sum", "Sum", ["argument_0"], {})]),
        ([("a", "AssignAdd", ["v", "x"], {})], [("a/sum", "AddV2", ["argument_0"], {})]),
        # A ref's twin, what TensorFlow 2 lacks, what is decided or fed, a read.
        ([("v", "VariableV2", [], {}), ("a", "AssignAdd", ["v", "x"], {})], [("a", "AssignAddVariableOp", [], {})]),
        ([("b", "BatchMatrixBandPart", ["x"], {})], [("b", "MatrixBandPart", ["argument_0"], {})]),
        ([("s", "Switch", ["x", "p"], {})], [("s", "Identity", ["argument_0"], {})]),
        ([("p", "Placeholder", [], {})], [("p", "Const", [], {})]),
        ([("v", "VariableV2", [], {}), ("r", "Identity", ["v"], {})], [("r", "ReadVariableOp", ["argument_0"], {})]),
        # A ref that is given another shape is a handle, and gets the shape where it is read.
        (
            [("r", "Reshape", ["v", "s"], {}), ("n", "Neg", ["r"], {})],
            [
                ("r", "Identity", ["argument_0"], {"T": (RESOURCE,)}),
                ("n/in0/ReadVariableOp", "ReadVariableOp", ["argument_0"], {}),
                ("n/in0/step_0", "Reshape", ["n/in0/ReadVariableOp", "s"], {}),
                ("n", "Neg", ["n/in0/step_0"], {}),
            ],
        ),
        # What a branch takes through a Switch it takes as it is where it is a function.
        (
            [
                ("c", "Const", [], {}),
                ("s", "Switch", ["c", "p"], {}),
                ("n", "Neg", ["s"], {}),
                ("m", "Merge", ["n"], {}),
            ],
            [("c", "Const", [], {}), ("n", "Neg", ["c:output:0"], {}), ("m", "NoOp", [], {})],
        ),
        # A handle takes the place of a ref.
        ([("i", "Identity", ["v"], {"T": (FLOAT,)})], [("i", "Identity", ["argument_0"], {"T": (RESOURCE,)})]),
        # What a conversion puts between two nodes.
        ([("n", "Neg", ["w"], {}), ("w", "Identity", ["v"], {})], [("n", "Neg", ["w/now"], {})]),
        # A ref is handed on by what writes it.
        (
            [("v", "VariableV2", [], {}), ("a", "AssignAdd", ["v", "x"], {}), ("i", "Identity", ["a"], {})],
            [("i", "Identity", ["a/as_handle:output:0"], {}), ("a/as_handle", "Identity", ["argument_0"], {})],
        ),
        # Names of the exporter's own, in a function that lacks the source's node.
        ([("Identity", "Neg", ["x"], {})], [("Identity", "Identity", ["argument_0"], {})]),
        ([("Identity_1", "Identity", ["y"], {}), ("y", "Neg", ["x"], {})], [("Identity_1", "Identity", ["z"], {})]),
        # One of several nodes of a name.
        (
            [("add", "Add", ["x", "x"], {"T": (FLOAT,)}), ("add", "Add", ["x", "x"], {"T": (3,)})],
            [("add", "Add", ["argument_0", "argument_0"], {"T": (3,)})],
        ),
    ],
)
def test_what_a_conversion_makes_is_no_difference(source, candidate):
    assert _told(_source(*source), _candidate(*candidate)) == []


@pytest.mark.parametrize(
    ("source", "candidate", "reason"),
    [
        (
            [_JPEG],
            [("d", "DecodeJpeg", ["argument_0"], {"acceptable_fraction": 0.4, "channels": 3})],
            "expected acceptable_fraction of DecodeJpeg to be",
        ),
        ([_JPEG], [("d", "DecodeJpeg", ["argument_0"], {"channels": 3})], "expected acceptable_fraction"),
        ([("f", "Floor", ["x"], {})], [("f", "Ceil", ["argument_0"], {})], "expected Floor, found Ceil"),
        ([("f", "StringStrip", ["x"], {})], [("f", "Identity", ["argument_0"], {})], "expected StringStrip"),
        ([("s", "Switch", ["x", "p"], {})], [("s", "Neg", ["argument_0"], {})], "expected Switch, found Neg"),
        ([("f", "Floor", ["x"], {})], [("f_0", "Ceil", ["argument_0"], {})], "expected Floor, found Ceil"),
        ([("r", "Reshape", ["x", "s"], {})], [("r", "Identity", ["argument_0"], {"T": (FLOAT,)})], "expected Reshape"),
        ([("f", "Floor", ["x"], {})], [("f/step_0", "Neg", ["argument_0"], {})], "the source has no node of this name"),
        ([("f", "Floor", ["x"], {})], [("spoil", "Ceil", ["argument_0"], {})], "the source has no node of this name"),
        ([("f", "Floor", ["x"], {})], [("Identity_1", "Ceil", ["argument_0"], {})], "the source has no node of"),
        (
            [("a", "Neg", ["x"], {}), ("b", "Abs", ["x"], {}), ("c", "Exp", ["a"], {})],
            [("a", "Neg", ["argument_0"], {}), ("b", "Abs", ["argument_0"], {}), ("c", "Exp", ["b:y:0"], {})],
            "expected Exp to take 'a', found 'b'",
        ),
        (
            [("a", "Neg", ["x"], {}), ("c", "Exp", ["a"], {})],
            [("c", "Exp", ["argument_0"], {})],
            "expected Exp to take 'a', found an argument",
        ),
        (
            [("a", "Neg", ["x"], {}), ("b", "Abs", ["x"], {}), ("c", "Exp", ["a"], {})],
            [
                ("a", "Neg", ["argument_0"], {}),
                ("b", "Abs", ["argument_0"], {}),
                ("spoil", "Identity", ["b:y:0"], {}),
                ("c", "Exp", ["spoil:output:0"], {}),
            ],
            "expected Exp to take 'a', found 'b'",
        ),
        (
            [("c", "Pack", ["x", "x"], {})],
            [("c", "Pack", ["argument_0"], {})],
            "expected Pack to take 2 inputs, found 1",
        ),
        ([("c", "Cast", ["x"], {"DstT": (3,)})], [("c", "Cast", ["argument_0"], {"DstT": (9,)})], "expected DstT"),
    ],
)
def test_another_node_of_a_name_is_told(source, candidate, reason):
    ((_, told),) = _told(_source(*source), _candidate(*candidate))
    assert told.startswith(reason) and told.endswith("(the function 'f')")


def test_a_name_may_have_a_prefix():
    source = _source(("d", "Neg", ["x"], {}))
    assert _told(source, _candidate(("source/d", "Neg", ["argument_0"], {}))) == []
    assert _told(source, _candidate(("source/d", "Abs", ["argument_0"], {}))) != []


def test_a_node_that_nothing_runs_is_not_looked_at():
    candidate = _candidate(("f", "Ceil", ["argument_0"], {}))
    del candidate.object_graph_def.concrete_functions["f"]
    assert _told(_source(("f", "Floor", ["x"], {})), candidate) == []


def test_a_function_of_the_source_is_compared():
    source = _source()
    function = source.graph_def.library.function.add()
    function.signature.name = "body"
    _nodes(function.node_def, [("f", "Floor", ["x"], {})])
    assert _told(source, _candidate(("f", "Floor", ["x"], {}))) == []
    assert _told(source, _candidate(("f", "Ceil", ["x"], {}))) != []


def test_what_a_tf2_model_calls_its_nodes_says_nothing():
    source = _source(("f", "Floor", ["x"], {}))
    source.object_graph_def.nodes.add()
    assert _told(source, _candidate(("f", "Ceil", ["argument_0"], {}))) == []


def _outputs(graph, **tensors):
    for name, tensor in tensors.items():
        graph.signature_def["s"].outputs[name].name = tensor
    return graph


def test_another_port_has_names_of_its_own():
    source = _outputs(_source(("a", "Neg", ["x"], {}), ("b", "Abs", ["a"], {}), ("c", "Exp", ["b"], {})), y="c:0")
    port = [("neg", "Neg", ["argument_0"], {}), ("abs", "Abs", ["neg:y:0"], {}), ("c", "Exp", ["abs:y:0"], {})]
    assert _told(source, _candidate(*port)) == []
    own = [("a", "Neg", ["argument_0"], {}), ("b", "Abs", ["a:y:0"], {}), ("c", "Exp", ["spoil:y:0"], {})]
    assert _told(source, _candidate(*own, ("spoil", "Abs", ["b:y:0"], {}))) != []


def _called(ret, *nodes):
    """A candidate whose signature's only output is one of a function that a function of Identities calls."""
    graph = _candidate(*nodes)
    outer, inner = graph.graph_def.library.function.add(), graph.graph_def.library.function[0]
    inner.signature.output_arg.add(name="y")
    inner.ret["y"] = ret
    outer.signature.name = "outer"
    outer.signature.output_arg.add(name="y")
    outer.ret["y"] = "Identity:output:0"
    outer.node_def.add(name="call", op="StatefulPartitionedCall").attr["f"].func.name = "f"
    outer.node_def.add(name="Identity", op="Identity", input=["call:output:0"])
    graph.graph_def.node.add(name="top", op="StatefulPartitionedCall").attr["f"].func.name = "outer"
    graph.graph_def.node.add(name="Identity", op="Identity", input=["top"])
    return _outputs(graph, y="Identity:0")


@pytest.mark.parametrize(
    ("ret", "told"), [("a:y:0", ""), ("a_0:y:0", ""), ("b:y:0", "it is given by 'b', and the source's by 'a'")]
)
def test_an_output_is_the_sources(ret, told):
    source = _outputs(_source(("a", "Neg", ["x"], {}), ("b", "Abs", ["x"], {})), y="a:0")
    first = "a_0" if ret == "a_0:y:0" else "a"
    candidate = _called(ret, (first, "Neg", ["argument_0"], {}), ("b", "Abs", ["argument_0"], {}))
    assert _told(source, candidate) == ([("y", told)] if told else [])


def test_an_output_may_be_an_identity_of_the_source():
    source = _outputs(_source(("a", "Neg", ["x"], {}), ("Identity", "Identity", ["a"], {})), y="Identity:0")
    nodes = [("a", "Neg", ["argument_0"], {}), ("Identity", "Identity", ["a:y:0"], {})]
    assert _told(source, _called("Identity:output:0", *nodes)) == []


def test_an_output_of_a_new_node_is_no_other_one():
    source = _outputs(_source(("v", "VariableV2", [], {}), ("a", "Neg", ["x"], {})), y="v:0")
    nodes = [("a", "Neg", ["argument_0"], {}), ("v/fetched/ReadVariableOp", "ReadVariableOp", ["argument_0"], {})]
    assert _told(source, _called("v/fetched/ReadVariableOp:value:0", *nodes)) == []


def _branching(branch):
    """An If whose branches are two functions, of which the candidate's second one may be another one."""

    def filled(graph, number):
        for name, op in ((f"yes_{number}", "Neg"), (f"no_{number}", "Abs")):
            function = graph.graph_def.library.function.add()
            function.signature.name = name
            function.node_def.add(name=op.lower(), op=op)
        return graph

    source = filled(_source(("c", "If", ["p", "x"], {})), 1)
    candidate = filled(_candidate(("c", "If", ["argument_0", "argument_0"], {})), 71)
    source.graph_def.node[0].attr["then_branch"].func.name = "yes_1"
    source.graph_def.node[0].attr["else_branch"].func.name = "no_1"
    (node,) = candidate.graph_def.library.function[0].node_def
    node.attr["then_branch"].func.name = "yes_71"
    node.attr["else_branch"].func.name = branch
    return source, candidate


@pytest.mark.parametrize(("branch", "told"), [("no_71", False), ("yes_71", True), ("", True), ("nobody's", True)])
def test_a_function_is_told_by_its_body(branch, told):
    found = [reason for _, reason in _told(*_branching(branch))]
    assert bool(found) == told
    assert all(reason.startswith("expected else_branch of If to be a function like 'no_1'") for reason in found)


# Control flow that a v1 Session lowers and cuts.


def _function(graph, name, arguments, nodes, results, waited=()):
    function = graph.graph_def.library.function.add()
    function.signature.name = name
    for argument in arguments:
        function.signature.input_arg.add(name=argument)
    for result, tensor in results.items():
        function.signature.output_arg.add(name=result)
        function.ret[result] = tensor
    for node in waited:
        function.control_ret[node] = node
    _nodes(function.node_def, nodes)


def _flow(node, key, types, **functions):
    node.attr[key].list.SetInParent()
    node.attr[key].list.type.extend(types)
    node.attr["_lower_using_switch_merge"].b = True
    for attribute, names in functions.items():
        if isinstance(names, str):
            node.attr[attribute].func.name = names
        else:
            for name in names:
                node.attr[attribute].list.func.add(name=name)


_WRITE = ("write", "AssignAddVariableOp", ["w", "by:output:0"], {})
_STEP = [("by", "Const", [], {}), ("next", "AddV2", ["i", "by:output:0"], {}), ("twice", "Mul", ["a", "a"], {})]
_LESS = [("less", "Less", ["i", "i"], {})]


def _looping(op="While"):
    """A loop of three variables, of which the third is a handle that the body writes."""
    before = [("i", "Const", [], {}), ("a", "Neg", ["x"], {}), ("w", "VarHandleOp", [], {})]
    loop = ("loop", op, ["i", "a", "w"], {})
    source = _source(*before, loop, ("y", "Abs", ["loop:1"], {}))
    _flow(source.graph_def.node[3], "T", [3, FLOAT, RESOURCE], cond="cond_1", body="body_1")
    _function(source, "cond_1", ["i", "a", "w"], _LESS, {"less": "less:z:0"})
    _function(source, "body_1", ["i", "a", "w"], [*_STEP, _WRITE], {"n": "next:z:0", "t": "twice:z:0", "w_1": "w"})
    return source


def _cut_loop(op="While", inputs=("i:output:0", "a:y:0"), body=_STEP, arguments=("i", "a"), results=("n", "t")):
    given = {"n": "next:z:0", "t": "twice:z:0", "w_1": "w"}
    before = [("i", "Const", [], {}), ("a", "Neg", ["argument_0"], {}), ("w", "VarHandleOp", [], {})]
    candidate = _candidate(*before, ("loop", op, inputs, {}), ("y", "Abs", ["loop:output:1"], {}))
    types = {"i": 3, "a": FLOAT, "w": RESOURCE}
    _flow(
        candidate.graph_def.library.function[0].node_def[3],
        "T",
        [types[name] for name in arguments],
        cond="cond_7",
        body="body_7",
    )
    _function(candidate, "cond_7", arguments, _LESS, {"less": "less:z:0"})
    _function(candidate, "body_7", arguments, body, {name: given[name] for name in results})
    return candidate


@pytest.mark.parametrize("op", ["While", "StatelessWhile"])
def test_a_loop_may_lose_what_nobody_needs(op):
    assert _told(_looping(op), _cut_loop(op)) == []


def test_a_loop_that_nothing_is_cut_of_is_the_same():
    whole = _cut_loop(
        inputs=("i:output:0", "a:y:0", "w:resource:0"),
        body=[*_STEP, _WRITE],
        arguments=("i", "a", "w"),
        results=("n", "t", "w_1"),
    )
    assert _told(_looping(), whole) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"inputs": ("a:y:0", "i:output:0")}, "expected While to take 'i', found 'a'"),
        ({"inputs": ("i:output:0", "y:y:0")}, "expected While to take 'a', found 'y'"),
        ({"inputs": ("i:output:0", "a:y:0", "w:resource:0")}, "expected While to take 2 inputs, found 3"),
        ({"body": _STEP[:2]}, "expected body of While to be a function like 'body_1'"),
        ({"arguments": ("a", "i")}, "expected T of While"),
        ({"results": ("t", "n")}, "expected T of While"),
        ({"results": ("n", "w_1")}, "expected T of While"),
    ],
)
def test_what_a_loop_keeps_is_compared(changed, reason):
    told = [reason for name, reason in _told(_looping(), _cut_loop(**changed)) if name == "loop"]
    assert len(told) == 1 and told[0].startswith(reason), told


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (["a", "by:output:0"], "to have 'next' take 'i', found 'a'"),
        (["i", "a"], "to have 'next' take 'by', found 'a'"),
        (["i", "i"], "to have 'next' take 'by', found 'i'"),
        (["i", "new"], ""),
    ],
)
def test_a_node_of_a_body_takes_what_it_took(inputs, told):
    other = [_STEP[0], ("next", "AddV2", inputs, {}), _STEP[2], ("new", "Identity", ["by:output:0"], {})]
    found = [reason for name, reason in _told(_looping(), _cut_loop(body=other)) if name == "loop"]
    assert bool(found) == bool(told) and all(told in reason for reason in found)


def test_a_loop_is_whole_where_a_kernel_runs_it():
    source = _looping()
    source.graph_def.node[3].attr["_lower_using_switch_merge"].b = False
    assert [name for name, _ in _told(source, _cut_loop())] == ["loop"]
    # So it is in a function that is called: the call is a kernel.
    source = _looping()
    nodes = [source.graph_def.node.pop(3)]
    function = source.graph_def.library.function.add()
    function.signature.name = "called"
    function.node_def.extend(nodes)
    call = source.graph_def.node.add(name="call", op="PartitionedCall")
    call.attr["f"].func.name = "called"
    assert [name for name, _ in _told(source, _cut_loop())] == ["loop"]


def test_a_loop_that_is_waited_for_is_whole():
    source = _looping()
    source.graph_def.node[4].input.append("^loop")
    told = [reason for name, reason in _told(source, _cut_loop()) if name == "loop"]
    assert len(told) == 1 and told[0].startswith("expected T of While")


_BRANCHING = {
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
    "Case": ("branches",),
    "StatelessCase": ("branches",),
}
_TWO = [("b", "Neg", ["v"], {}), ("c", "Abs", ["v"], {}), ("write", "AssignAddVariableOp", ["v", "b:y:0"], {})]


def _two_branches(op, number, results, nodes, awaited=True):
    """An If or Case whose branches have some results, as a source or a candidate."""
    call = ("flow", op, ["p" if number == 1 else "argument_0", "q" if number == 1 else "q:y:0"], {})
    if number == 1:
        graph = _source(("p", "Placeholder", [], {}), ("q", "Neg", ["x"], {}), call, ("y", "Exp", ["flow:1"], {}))
        node = graph.graph_def.node[2]
    else:
        graph = _candidate(("q", "Neg", ["argument_0"], {}), call, ("y", "Exp", ["flow:output:0"], {}))
        node = graph.graph_def.library.function[0].node_def[1]
    names = [f"then_{number}", f"else_{number}"]
    keys = _BRANCHING[op]
    functions = dict(zip(keys, names, strict=True)) if len(keys) == 2 else {keys[0]: names}
    _flow(node, "Tout", [FLOAT] * len(results), **functions)
    given = {"r": "b:y:0", "s": "c:y:0"}
    for name in names:
        _function(graph, name, ["v"], nodes, {each: given[each] for each in results}, ["write"] if awaited else [])
    return graph


@pytest.mark.parametrize("op", _BRANCHING)
def test_branches_may_lose_what_nobody_needs(op):
    source = _two_branches(op, 1, ["r", "s"], _TWO)
    assert _told(source, _two_branches(op, 7, ["s"], _TWO[1:2], False)) == []
    assert _told(source, _two_branches(op, 7, ["s"], _TWO)) == []
    # The other result needs the other node.
    told = _told(source, _two_branches(op, 7, ["r"], _TWO[1:2], False))
    assert told[0][0] == "flow" and "to be a function like" in told[0][1]
    told = _told(source, _two_branches(op, 7, ["s", "r"], _TWO, False))
    assert told[0][0] == "flow" and "to give 'b', found 'c'" in told[0][1]


@pytest.mark.parametrize("op", _BRANCHING)
def test_branches_that_are_waited_for_do_what_they_are_waited_for(op):
    source = _two_branches(op, 1, ["r", "s"], _TWO)
    source.graph_def.node[3].input.append("^flow")
    assert [name for name, _ in _told(source, _two_branches(op, 7, ["s"], _TWO[1:2], False))] == ["flow"]
    assert _told(source, _two_branches(op, 7, ["s"], _TWO)) == []


def test_a_loop_in_a_branch_is_cut_as_well():
    def nested(graph, number, inner, outer):
        names = {"then_branch": f"then_{number}", "else_branch": f"then_{number}"}
        node = graph.graph_def.node[1] if number == 1 else graph.graph_def.library.function[0].node_def[0]
        _flow(node, "Tout", [FLOAT], **names)
        loop = inner("While") if number == 7 else _looping()
        functions = [f for f in loop.graph_def.library.function if f.signature.name != "f"]
        graph.graph_def.library.function.extend(functions)
        nodes = loop.graph_def.node if number == 1 else loop.graph_def.library.function[0].node_def
        _function(graph, f"then_{number}", ["argument_0", "x"], [], {"t": "loop:output:1"})
        graph.graph_def.library.function[-1].node_def.extend(n for n in nodes if n.name in outer)
        for node in graph.graph_def.library.function[-1].node_def:
            node.input[:] = ["x" if name == "argument_0" else name for name in node.input]
        return graph

    before = ("i", "a", "w", "loop")
    source = nested(_source(("p", "Placeholder", [], {}), ("flow", "If", ["p", "x"], {})), 1, None, before)
    for node in source.graph_def.library.function[-1].node_def:
        if node.name == "loop":
            node.input[:] = ["i:output:0", "a:y:0", "w:resource:0"]
    candidate = nested(_candidate(("flow", "If", ["argument_0", "argument_0"], {})), 7, _cut_loop, before)
    assert _told(source, candidate) == []
    source.graph_def.node[1].attr["_lower_using_switch_merge"].b = False
    assert [name for name, _ in _told(source, candidate)] == ["loop"]

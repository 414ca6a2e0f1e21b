†
Ì§
`

GatherTree
step_ids"T

parent_ids"T
sequence_length"T

beams"T"
Ttype:
2
C
Placeholder
output"dtype"
dtypetype"
shapeshape:"serve*1.4.12v1.4.0-19-ga52c8d9ç
J
stepsPlaceholder*
dtype0*
_output_shapes
:*
shape:
L
parentsPlaceholder*
shape:*
_output_shapes
:*
dtype0
L
lengthsPlaceholder*
_output_shapes
:*
dtype0*
shape:
y

GatherTree
GatherTreestepsparentslengths*=
_output_shapes+
):'ÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿ*
T0"*Ê
serving_default¶

lengths
	lengths:0

steps
steps:0

parents
	parents:0B
found9
GatherTree:0'ÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿtensorflow/serving/predict
package node

// The parsers of the side channel, for fuzzing.
var (
	ParseSize   = parseSize
	ParseDigest = parseDigest
)

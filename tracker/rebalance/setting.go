package rebalance

// The settings that steer a rebalance (docs/spec/jobs.md §8.3).
const (
	// HostField names the tracker that queues files; the rebalance is on while it is set.
	HostField = "rebal_host"
	// PolicyField and StateField have the two texts of this package.
	PolicyField = "rebal_policy"
	StateField  = "rebal_state"
	// SignalField is StopSignal when the tracker that queues files is to stop.
	SignalField = "rebal_signal"
	StopSignal  = "stop"

	// Those that follow are ours: peers leave them alone.

	// WasField is the text of a [Was].
	WasField = "rebal_sdev_was"
	// WaitsField says in words what a rebalance that can't go on waits for.
	WaitsField = "rebal_waits"
	// SinceField is the text of a [Since].
	SinceField = "rebal_since"

	// The most files that are queued at a time, and that are queued in a second.
	SizeField = "queue_size_for_rebal"
	RateField = "queue_rate_for_rebal"
)

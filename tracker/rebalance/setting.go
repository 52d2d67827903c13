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
)

package command

// The protocol has no users. What a tracker knows of a client is its address, and by
// that it tells operators from the others.

// right is who may give a command.
type right uint8

const (
	// forOperators is right for what no client library does by itself.
	forOperators right = iota
	forAll
)

// rights has a row for every command of the table, and for the plain ones that
// docs/spec/tracker-protocol.md §8 lists.
var rights = map[string]right{
	// What clients come for.
	"noop":                forAll,
	"create_open":         forAll,
	"create_close":        forAll,
	"create_close_copies": forAll,
	"get_paths":           forAll,
	"file_info":           forAll,
	"file_debug":          forAll,
	"list_keys":           forAll,
	"list_fids":           forAll,
	"delete":              forAll,
	"rename":              forAll,
	"updateclass":         forAll,
	"edit_file":           forAll,
	"fsck_file":           forAll,

	// Libraries and monitoring look at the cluster, and nothing changes by it. Both
	// ways to have the devices looked at are taken by tools after they changed
	// something; those who ask at once share one round.
	"get_domains":      forAll,
	"get_hosts":        forAll,
	"get_devices":      forAll,
	"clear_cache":      forAll,
	"do_monitor_round": forAll,
	"fsck_status":      forAll,
	"fsck_getlog":      forAll,
	"rebalance_status": forAll,
	"rebalance_test":   forAll,

	// The cluster becomes another.
	"create_domain": forOperators,
	"delete_domain": forOperators,
	"create_class":  forOperators,
	"update_class":  forOperators,
	"delete_class":  forOperators,
	"create_host":   forOperators,
	"update_host":   forOperators,
	"delete_host":   forOperators,
	"create_device": forOperators,
	"set_state":     forOperators,
	"set_weight":    forOperators,

	// Settings hold the passwords of replica databases (slave_<key>).
	"server_setting":     forOperators,
	"server_settings":    forOperators,
	"set_server_setting": forOperators,

	// Work for the whole cluster.
	"fsck_start":           forOperators,
	"fsck_stop":            forOperators,
	"fsck_reset":           forOperators,
	"fsck_clearlog":        forOperators,
	"rebalance_set_policy": forOperators,
	"rebalance_start":      forOperators,
	"rebalance_stop":       forOperators,
	"rebalance_reset":      forOperators,
	"replicate_now":        forOperators,

	// For those who test trackers: the first keeps others from being answered, the
	// second fails on purpose, the third writes copies where the caller says.
	"sleep":    forOperators,
	"test":     forOperators,
	"httpcopy": forOperators,
}

// Administers reports whether only operators may give a command. A command that is
// not there is anybody's to ask for in vain.
func Administers(name string) bool {
	if r, listed := rights[name]; listed {
		return r == forOperators
	}
	_, known := table[name]
	return known
}

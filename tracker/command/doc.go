// Package command is what each command of a tracker does, one file per noun
// (docs/spec/tracker-protocol.md §6 to §8).
//
// A create_open walks through it like this: [Commands.Run] finds the command in its
// table and hands the request to createOpen, which turns the arguments into
// [OpenArgs]; [Commands.Open] asks the topology's snapshot for devices, registers the
// upload in the store, has the directories made; createOpen formats the answer.
// Whoever runs in the same process calls Open, [Commands.Locate], [Commands.Close] and
// their like directly: the wire handlers only parse and format.
//
// Errors are [*protocol.Error] where the protocol has a code for them. All others
// are internal: Run answers failure and logs them.
//
// Settings, checks and rebalances, which operators steer, are package upkeep's; this one
// hands such requests on.
//
// It does not read from connections, speak to storage nodes or to a database itself:
// those are the line server, [Nodes] and [Store]. What can wait it leaves to [Jobs].
package command

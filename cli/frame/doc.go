// Package frame is what all commands of the command line stand in: the grammar of words and
// options, the config files, the trackers, and how results and errors are shown.
//
// A call walks through it so: [Run] finds the command that the words name (parse.go),
// adds what the config files say to the options (config.go), and hands a [Call] to the command's
// Run. That asks trackers through [Call.Trackers], writes its result with [Call.Show], and
// returns an error, which Run writes to Stderr and turns into the exit code (failure.go).
// What is no command, or lacks an argument, is answered with usage (usage.go).
//
// The grammar is mogadm's (docs/spec/cli.md §1 and §2), but options may stand anywhere.
// Nothing here knows what any command does.
package frame

// Package policy decides whether a file has enough copies and where the next one
// may go. Facts in, answer out.
//
// A file of a class with replpolicy MultipleHosts(3) has two copies: [Parse] makes
// the text a [Policy]; the replicate job tells its Decide which devices hold the
// copies and which devices there are, and is answered with the devices that a third
// copy could go to. It makes that copy, adds it to the facts and asks again, until
// the answer is [AllGood]. When it is [TooGood], [Policy.Spare] says which copies may go.
//
// Who follows the answers comes to an end: a copy that was just made is never one too
// many whose removal would have it made again, but where MultipleHosts moves one to
// another host.
//
// What it does not do: no I/O, no clock, no chance. The lists keep the order of the
// candidates; who asked orders them by free space. The rules are those of
// docs/spec/jobs.md §6; where ours differ stands at the rule.
package policy

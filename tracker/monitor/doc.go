// Package monitor looks at the cluster: at the database for what operators decided, and
// at the storage nodes for what they are good for now (docs/spec/jobs.md §1).
//
// A round asks each device how full it is, at most a few at once, and writes a small
// file to it now and then. What was found is published as the next snapshot of the
// topology (package topology), from which all others decide where to read and write. A
// caller that has just changed something asks for a round of its own, [Monitor.Refresh],
// and shares it with all who ask at the same time.
//
// What it does not do: change a state that an operator gave, or do anything about what it
// sees. That is up to the jobs (package job).
package monitor

// Package console is what people and their scripts see of an installation and do to it,
// as JSON over HTTP: the admin API of Caddy and the dashboard answer with it.
//
// A request walks through it so: [Console.Serve] finds its [Route] (routes.go), which reads
// the query or the body and calls a method such as [Console.Topology]. That asks [Trackers]
// with commands of the line protocol, whether the tracker is in this process or another, and
// [Here] for what only a tracker of this process can tell: which hosts answer, the jobs,
// and how long the queues are. What comes out is turned into JSON as it is; a refusal becomes
// an [*Error] with a status and a way out. [Find] makes a list of problems with their
// remedies of what was seen, as a pure function.
//
// What it does not do: decide who may ask (that is console/fence, and Caddy), carry out a
// command, or remember anything; console/live watches over time.
package console

// Package moving takes the steps of docs/moving.md, one by one, while clients read and
// write, and then takes them back.
//
// Where it begins, there is an installation of old: a database as MogileFS leaves it and a
// player of its tracker (package legacy) that answers on a port, device directories with
// files and a server for each as mogstored is one, and a site before them as nginx with the
// module is. Ours are real processes. Readers ask a balancer, whose share of requests goes to
// one site or the other; writers speak to the trackers as client libraries do. None of them
// may meet a failure.
package moving

// Package protocol is the line protocol of MogileFS trackers as pure functions:
// bytes of a line in, words out, and back (docs/spec/tracker-protocol.md §1 to §4).
//
// A line walks through it like this: [IsAdmin] tells operators' ! commands from
// ordinary requests, [Parse] splits and decodes an ordinary one, whoever carries it
// out fills a [Response] with [Pairs] or an [Error], and [Response.Append] writes
// the line that answers it.
//
//	req := protocol.Parse([]byte("get_paths domain=images&key=aqua.jpg"))
//	var resp protocol.Response
//	resp.Pairs.Add("paths", "0")
//	line := resp.Append(nil, req) // OK paths=0 CR LF
//
// Clients go the other way: [AppendRequest] writes their line, [ParseReply] reads what
// comes back.
//
// It does not read from or write to anything, knows no command and keeps no state.
package protocol

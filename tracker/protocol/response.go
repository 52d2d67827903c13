package protocol

import "strconv"

// Pairs is encoded names and values in the order they were added. The zero value
// has none.
type Pairs struct{ b []byte }

// commonSize is how many bytes of pairs most answers have at most: two paths.
const commonSize = 160

// Add appends a pair. Names are plain words that do not begin with a digit, since
// clients do not decode them.
func (p *Pairs) Add(name, value string) {
	if p.b == nil {
		p.b = make([]byte, 0, commonSize)
	} else {
		p.b = append(p.b, '&')
	}
	p.b = appendEscaped(p.b, name)
	p.b = append(p.b, '=')
	p.b = appendEscaped(p.b, value)
}

// AddInt appends a pair with a decimal number.
func (p *Pairs) AddInt(name string, n int64) { p.Add(name, strconv.FormatInt(n, 10)) }

// String is the pairs as they go over the wire.
func (p *Pairs) String() string { return string(p.b) }

// callID is the argument that every answer repeats.
const callID = "callid"

// Response is the answer to one request: an error, or pairs.
type Response struct {
	Pairs Pairs
	// Err, when not nil, is answered instead of the pairs.
	Err *Error
}

// Append adds the whole line that answers req.
func (r Response) Append(b []byte, req Request) []byte {
	id, given := req.Lookup(callID)
	if r.Err != nil {
		b = append(b, "ERR "...)
		b = append(b, r.Err.Code...)
		b = append(b, ' ')
		b = appendEscaped(b, r.Err.text())
		if given {
			b = append(b, ' ')
			b = appendEscaped(b, id)
		}
		return append(b, "\r\n"...)
	}
	// The blank goes out even when nothing follows: clients split at it.
	b = append(b, "OK "...)
	if given {
		r.Pairs.Add(callID, id)
	}
	b = append(b, r.Pairs.b...)
	return append(b, "\r\n"...)
}

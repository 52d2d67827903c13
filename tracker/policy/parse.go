package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// builtin is the namespace of names that are written without a colon.
	builtin = "MogileFS::ReplicationPolicy::"
	// maxText is what the column class.replpolicy holds, in bytes; it also bounds
	// how deep unions lie in unions.
	maxText = 255
)

// Parse reads one of these, with blanks and line ends anywhere between; the empty text
// is MultipleHosts().
//
//	MultipleHosts(<copies>)      MultipleHosts()
//	MultipleDevices(<copies>)    MultipleDevices()
//	MultipleNetworks(<copies>)   MultipleNetworks()
//	HostsPerNetwork(<zone>=<hosts>, ...)
//	Union(<policy>, ...)
//
// Zones need not be known to anybody; see [Policy.Zones].
func Parse(text string) (Policy, error) {
	if strings.TrimSpace(text) == "" {
		return Policy{}, nil
	}
	if len(text) > maxText {
		return Policy{}, fmt.Errorf("replication policy of %d bytes: at most %d fit", len(text), maxText)
	}
	s := &scanner{rest: text}
	p, err := s.policy()
	if err == nil && s.peek() != "" {
		err = fmt.Errorf("after %s comes %q: want nothing there; Union(A(), B()) joins policies", p, s.rest)
	}
	if err != nil {
		return Policy{}, fmt.Errorf("replication policy %q: %w", text, err)
	}
	return p, nil
}

// scanner eats the text from its beginning.
type scanner struct{ rest string }

const blanks = " \t\r\n\f\v"

// peek is the next token without eating it: a word, or one character that is none. It
// is empty at the end.
func (s *scanner) peek() string {
	s.rest = strings.TrimLeft(s.rest, blanks)
	if n := len(s.rest) - len(strings.TrimLeftFunc(s.rest, inWord)); n > 0 {
		return s.rest[:n]
	}
	for i := range s.rest {
		if i > 0 {
			return s.rest[:i]
		}
	}
	return s.rest
}

func (s *scanner) next() string {
	token := s.peek()
	s.rest = s.rest[len(token):]
	return token
}

// eat reports whether the next token was this one, which is gone then.
func (s *scanner) eat(token string) bool {
	if s.peek() != token {
		return false
	}
	s.next()
	return true
}

// inWord is true for what names of policies and zones are made of.
func inWord(r rune) bool {
	return r == '_' || r == ':' || r == '-' || r == '.' ||
		'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

func isWord(token string) bool { return token != "" && inWord(rune(token[0])) }

var errGrammar = errors.New("want Name() or Name(number), as in MultipleHosts(3)")

func (s *scanner) policy() (Policy, error) {
	name := s.next()
	if !isWord(name) || !s.eat("(") {
		return Policy{}, errGrammar
	}
	p := Policy{name: kind(strings.TrimPrefix(name, builtin))}
	var err error
	switch p.name {
	case multipleHosts, multipleDevices, multipleNetworks:
		err = s.copies(&p)
	case hostsPerNetwork:
		err = s.zones(&p)
	case union:
		err = s.parts(&p)
	default:
		err = fmt.Errorf("there is no %s; known are %s, %s, %s, %s, %s", name,
			hostsPerNetwork, multipleDevices, multipleHosts, multipleNetworks, union)
	}
	return p, err
}

// copies reads what is between the parentheses, and the last of these.
func (s *scanner) copies(p *Policy) error {
	if token := s.peek(); token == ")" || token == "" {
		return s.close(*p)
	}
	token := s.next()
	n, ok := number(token)
	if !ok {
		return fmt.Errorf("%s takes a number of copies from 0 to %d, not %q", p.name, maxCount, token)
	}
	p.min = n
	return s.close(*p)
}

// maxCount is what class.mindevcount can hold: more is a slip of the pen.
const maxCount = 255

func number(token string) (int, bool) {
	n, err := strconv.ParseUint(token, 10, 8)
	return int(n), err == nil
}

func (s *scanner) close(p Policy) error {
	switch token := s.next(); token {
	case ")":
		return nil
	case "":
		return fmt.Errorf("%s( is not closed: %w", p.name, errGrammar)
	default:
		return fmt.Errorf("%s has %q where it should end: want a )", p.name, token)
	}
}

// separate eats the comma after an element of a list; the last may do without.
func (s *scanner) separate(last string) error {
	switch token := s.peek(); token {
	case ",":
		s.next()
	case ")":
	case "":
		return fmt.Errorf("after %s comes nothing: want a )", last)
	default:
		return fmt.Errorf("after %s comes %q: want a comma or a )", last, token)
	}
	return nil
}

func (s *scanner) zones(p *Policy) error {
	total := 0
	for !s.eat(")") {
		name := s.next()
		if !isWord(name) || !s.eat("=") {
			return fmt.Errorf("%s takes zones with numbers of hosts, as in %s(near=2, far=1); %q is none", p.name, p.name, name)
		}
		token := s.next()
		n, ok := number(token)
		if !ok {
			return fmt.Errorf("zone %s takes a number of hosts from 0 to %d, not %q", name, maxCount, token)
		}
		for _, z := range p.zones {
			if z.zone == name {
				return fmt.Errorf("zone %s is named twice: give it one number", name)
			}
		}
		p.zones, total = append(p.zones, zoneCount{name, n}), total+n
		if err := s.separate(fmt.Sprintf("%s=%d", name, n)); err != nil {
			return err
		}
	}
	if total == 0 {
		return fmt.Errorf("%s asks for no copy at all: name a zone with a number of hosts, as in %s(near=2, far=1)", p.name, p.name)
	}
	return nil
}

func (s *scanner) parts(p *Policy) error {
	for !s.eat(")") {
		part, err := s.policy()
		if err != nil {
			return fmt.Errorf("part %d of %s: %w", len(p.parts)+1, p.name, err)
		}
		p.parts = append(p.parts, part)
		if err := s.separate(part.String()); err != nil {
			return err
		}
	}
	if len(p.parts) == 0 {
		return fmt.Errorf("%s has no parts: want policies, as in Union(MultipleHosts(2), HostsPerNetwork(far=1))", p.name)
	}
	p.parts = flat(p.parts)
	return nil
}

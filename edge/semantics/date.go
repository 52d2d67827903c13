package semantics

import (
	"net/http"
	"time"
)

// AppendDate appends the time as headers have it. That each answer needs one is why it is not left to
// AppendFormat, which reads the layout each time.
func AppendDate(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, http.TimeFormat)
	}
	hour, minute, second := t.Clock()
	b = append(append(b, t.Weekday().String()[:3]...), ", "...)
	b = append(appendTwo(b, day), ' ')
	b = append(append(b, month.String()[:3]...), ' ')
	b = append(appendTwo(appendTwo(b, year/100), year%100), ' ')
	b = append(appendTwo(b, hour), ':')
	b = append(appendTwo(b, minute), ':')
	return append(appendTwo(b, second), " GMT"...)
}

func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

package fleet

import (
	_ "embed"
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

// zonesText is the tz database as far as schedules need it: a line for each rule that holds
// from now on, in the form of the TZ variable of POSIX, with the names of the zones that
// follow it. It is a part of the build, so that the same policy means the same on every
// machine; zone databases of machines differ. Ramadan is not in it: Morocco is at +01:00
// all year.
//
//go:embed zones.txt
var zonesText string

// zones are the rules by the name of the zone.
var zones = sync.OnceValue(func() map[string]string {
	rules := map[string]string{}
	for line := range strings.Lines(zonesText) {
		words := strings.Fields(line)
		for _, name := range words[min(1, len(words)):] {
			rules[name] = words[0]
		}
	}
	return rules
})

// zoneOf returns the time zone of that name in the tz database.
func zoneOf(name string) (*time.Location, bool) {
	rule, ok := zones()[name]
	if !ok {
		return nil, false
	}
	zone, err := time.LoadLocationFromTZData(name, zoneFile(rule))
	return zone, err == nil
}

// zoneFile is a time zone file (RFC 8536, version 2) without a history: one type of local
// time, which package time asks for and which does not count, and the rule.
func zoneFile(rule string) []byte {
	var b []byte
	for range 2 { // the part for readers of version 1 is there, too
		b = append(b, "TZif2"...)
		b = append(b, make([]byte, 15)...)
		for _, count := range [...]uint32{0, 0, 0, 0, 1, 4} { // of the six tables: one type, one name of four bytes
			b = binary.BigEndian.AppendUint32(b, count)
		}
		b = append(b, 0, 0, 0, 0, 0, 0) // no offset, no daylight saving time, the first name
		b = append(b, "UTC\x00"...)
	}
	return append(b, "\n"+rule+"\n"...)
}

package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Timestamp is an instant in the forms of AWS's wire protocols: epoch seconds in JSON,
// ISO 8601 in XML and in query parameters.
type Timestamp struct{ time.Time }

// isoMillis is how EC2 writes times.
const isoMillis = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes epoch seconds with milliseconds, as ECS does.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads epoch seconds, or an ISO 8601 string.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		return t.UnmarshalText([]byte(text))
	}
	seconds, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > 1e11 {
		return fmt.Errorf("timestamp %.40q: write epoch seconds", b)
	}
	t.Time = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return nil
}

// MarshalText writes ISO 8601 with milliseconds, as EC2 does.
func (t Timestamp) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, isoMillis), nil
}

// UnmarshalText reads ISO 8601.
func (t *Timestamp) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return fmt.Errorf("timestamp %.40q: write it like 2026-01-02T15:04:05Z", b)
	}
	t.Time = v.UTC()
	return nil
}

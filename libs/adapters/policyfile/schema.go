package policyfile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/neap-project/neap/libs/fleet"
)

// Schema returns the JSON Schema (draft 2020-12) of a policy, made from its Go types, for
// editors and for checks in other tools.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		RequiredFromJSONSchemaTags: false,
		Mapper:                     mapType,
	}
	s := r.Reflect(fleet.Policy{})
	s.Title = "Neap policy"
	s.Description = "What the owner of an ECS cluster allows Neap to do and wants it to keep."
	describe(s, reflect.TypeFor[fleet.Policy]())
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(b, '\n'), nil
}

// mapType gives the types that are not written as Go would write them.
func mapType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[fleet.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, Examples: []any{"15m", "1h30m"}}
	case reflect.TypeFor[fleet.TimeOfDay]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$`, Examples: []any{"07:45"}}
	case reflect.TypeFor[fleet.OnTimeout]():
		return oneOf(fleet.TimeoutStop, fleet.TimeoutRestore)
	case reflect.TypeFor[fleet.Architecture]():
		return oneOf(fleet.X86, fleet.ARM)
	case reflect.TypeFor[fleet.Surge]():
		return oneOf(fleet.SurgeFull, fleet.SurgeProgress)
	case reflect.TypeFor[fleet.Orientation]():
		return oneOf(fleet.Cheapest, fleet.CostOriented, fleet.Balanced, fleet.AvailabilityFirst)
	case reflect.TypeFor[fleet.VolumeType]():
		return oneOf(fleet.VolumeTypes()...)
	case reflect.TypeFor[fleet.MetadataTokens]():
		return oneOf(fleet.TokensRequired, fleet.TokensOptional)
	case reflect.TypeFor[fleet.LocalDisks]():
		return oneOf(fleet.DisksAny, fleet.DisksRequired, fleet.DisksExcluded)
	case reflect.TypeFor[fleet.Category]():
		return oneOf(fleet.Categories()...)
	case reflect.TypeFor[fleet.Weekday]():
		return oneOf[fleet.Weekday]("mon", "tue", "wed", "thu", "fri", "sat", "sun")
	}
	return nil
}

func oneOf[T any](values ...T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, v := range values {
		s.Enum = append(s.Enum, v)
	}
	return s
}

// describe copies the fields' desc tags into the schema.
func describe(s *jsonschema.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice && s.Items != nil {
			s = s.Items
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s.Properties == nil {
		return
	}
	for f := range t.Fields() {
		if f.Anonymous {
			describe(s, f.Type)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		property, ok := s.Properties.Get(name)
		if !ok {
			continue
		}
		property.Description = f.Tag.Get("desc")
		describe(property, f.Type)
	}
}

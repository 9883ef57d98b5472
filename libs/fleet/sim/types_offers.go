package sim

// The structures of reservations, savings plans and spot placement scores. See types_ec2.go
// for how fields and tags are written; savings plans speak JSON.

// GetSpotPlacementScoresInput is the request of GetSpotPlacementScores.
type GetSpotPlacementScoresInput struct {
	InstanceTypes          []string `query:"InstanceType"`
	TargetCapacity         int
	TargetCapacityUnitType string
	SingleAvailabilityZone bool
	RegionNames            []string `query:"RegionName"`
	MaxResults             int
	NextToken              string
}

// SpotPlacementScore is how likely a spot request is to succeed in a place, from 1 to 10.
type SpotPlacementScore struct {
	Region             string `xml:"region"`
	AvailabilityZoneID string `xml:"availabilityZoneId,omitempty"`
	Score              int    `xml:"score"`
}

// GetSpotPlacementScoresOutput is the answer of GetSpotPlacementScores.
type GetSpotPlacementScoresOutput struct {
	SpotPlacementScores []SpotPlacementScore `xml:"spotPlacementScoreSet>item"`
	NextToken           string               `xml:"nextToken,omitempty"`
}

// DescribeReservedInstancesInput is the request of DescribeReservedInstances.
type DescribeReservedInstancesInput struct {
	ReservedInstancesIDs []string `query:"ReservedInstancesId"`
	OfferingClass        string
	OfferingType         string
	Filters              []Filter `query:"Filter"`
}

// ReservedInstances is a reservation of instances.
type ReservedInstances struct {
	ReservedInstancesID string            `xml:"reservedInstancesId" json:"reservedInstancesId"`
	InstanceType        string            `xml:"instanceType" json:"instanceType"`
	AvailabilityZone    string            `xml:"availabilityZone,omitempty" json:"availabilityZone,omitempty"`
	Scope               string            `xml:"scope" json:"scope"` // Region, Availability Zone
	InstanceCount       int               `xml:"instanceCount" json:"instanceCount"`
	State               string            `xml:"state" json:"state"` // active, retired
	Start               Timestamp         `xml:"start" json:"start"`
	End                 Timestamp         `xml:"end" json:"end"`
	Duration            int64             `xml:"duration" json:"duration"` // seconds
	FixedPrice          float64           `xml:"fixedPrice" json:"fixedPrice"`
	UsagePrice          float64           `xml:"usagePrice" json:"usagePrice"`
	RecurringCharges    []RecurringCharge `xml:"recurringCharges>item" json:"recurringCharges"`
	CurrencyCode        string            `xml:"currencyCode" json:"currencyCode"`
	InstanceTenancy     string            `xml:"instanceTenancy" json:"instanceTenancy"`
	OfferingClass       string            `xml:"offeringClass" json:"offeringClass"`
	OfferingType        string            `xml:"offeringType" json:"offeringType"`
	ProductDescription  string            `xml:"productDescription" json:"productDescription"`
}

// RecurringCharge is what a reservation costs again and again.
type RecurringCharge struct {
	Amount    float64 `xml:"amount" json:"amount"`
	Frequency string  `xml:"frequency" json:"frequency"`
}

// DescribeReservedInstancesOutput is the answer of DescribeReservedInstances.
type DescribeReservedInstancesOutput struct {
	ReservedInstances []ReservedInstances `xml:"reservedInstancesSet>item"`
}

// SavingsPlan is a promise to spend so much each hour.
type SavingsPlan struct {
	OfferingID             string            `json:"offeringId"`
	SavingsPlanID          string            `json:"savingsPlanId"`
	SavingsPlanArn         string            `json:"savingsPlanArn"`
	Description            string            `json:"description"`
	Start                  string            `json:"start"`
	End                    string            `json:"end"`
	State                  string            `json:"state"`
	Region                 string            `json:"region,omitempty"`
	EC2InstanceFamily      string            `json:"ec2InstanceFamily,omitempty"`
	SavingsPlanType        string            `json:"savingsPlanType"` // Compute, EC2Instance
	PaymentOption          string            `json:"paymentOption"`
	ProductTypes           []string          `json:"productTypes"`
	Currency               string            `json:"currency"`
	Commitment             string            `json:"commitment"` // USD per hour
	UpfrontPaymentAmount   string            `json:"upfrontPaymentAmount"`
	RecurringPaymentAmount string            `json:"recurringPaymentAmount"`
	TermDurationInSeconds  int64             `json:"termDurationInSeconds"`
	Tags                   map[string]string `json:"tags"`
}

// SavingsPlanFilter is a filter of DescribeSavingsPlans and of DescribeSavingsPlanRates.
type SavingsPlanFilter struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// DescribeSavingsPlansInput is the request of DescribeSavingsPlans.
type DescribeSavingsPlansInput struct {
	SavingsPlanArns []string            `json:"savingsPlanArns"`
	SavingsPlanIDs  []string            `json:"savingsPlanIds"`
	NextToken       string              `json:"nextToken"`
	MaxResults      int                 `json:"maxResults"`
	States          []string            `json:"states"`
	Filters         []SavingsPlanFilter `json:"filters"`
}

// DescribeSavingsPlansOutput is the answer of DescribeSavingsPlans.
type DescribeSavingsPlansOutput struct {
	SavingsPlans []SavingsPlan `json:"savingsPlans"`
	NextToken    string        `json:"nextToken,omitempty"`
}

// DescribeSavingsPlanRatesInput is the request of DescribeSavingsPlanRates.
type DescribeSavingsPlanRatesInput struct {
	SavingsPlanID string              `json:"savingsPlanId"`
	Filters       []SavingsPlanFilter `json:"filters"`
	NextToken     string              `json:"nextToken"`
	MaxResults    int                 `json:"maxResults"`
}

// NamedValue is a property of a rate.
type NamedValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SavingsPlanRate is what an hour of something costs under a savings plan.
type SavingsPlanRate struct {
	Rate        string       `json:"rate"`
	Currency    string       `json:"currency"`
	Unit        string       `json:"unit"`
	ProductType string       `json:"productType"`
	ServiceCode string       `json:"serviceCode"`
	UsageType   string       `json:"usageType"`
	Operation   string       `json:"operation"`
	Properties  []NamedValue `json:"properties"`
}

// DescribeSavingsPlanRatesOutput is the answer of DescribeSavingsPlanRates.
type DescribeSavingsPlanRatesOutput struct {
	SavingsPlanID string            `json:"savingsPlanId"`
	SearchResults []SavingsPlanRate `json:"searchResults"`
	NextToken     string            `json:"nextToken,omitempty"`
}

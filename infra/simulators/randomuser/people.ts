// What users are made of, by nationality: a few names and places each, in their own letters.
export interface Nation {
  readonly country: string;
  readonly male: readonly string[];
  readonly female: readonly string[];
  readonly last: readonly string[];
  readonly streets: readonly string[];
  readonly cities: readonly string[];
  readonly states: readonly string[];
  /** `#` is a digit, `A` a letter. Without a pattern, the post code is a number. */
  readonly postcode: string | null;
  readonly phone: string;
  readonly cell: string;
  /** The name of the nation's number for a person, and its pattern; none has no value. */
  readonly id: { readonly name: string; readonly value: string | null };
}

export const NATIONS: Readonly<Record<string, Nation>> = {
  CA: {
    country: "Canada",
    male: ["Liam", "Noah", "Félix", "Owen"],
    female: ["Emma", "Zoé", "Olivia", "Maya"],
    last: ["Tremblay", "Roy", "Singh", "Chan", "MacDonald"],
    streets: ["Lake Road", "Rue du Moulin", "Maple Ave", "King St"],
    cities: ["Halifax", "Trois-Rivières", "Red Deer", "Kelowna"],
    states: ["Nova Scotia", "Québec", "Alberta", "British Columbia"],
    postcode: "A#A #A#",
    phone: "A## A##-####",
    cell: "A## A##-####",
    id: { name: "SIN", value: "#########" },
  },
  DE: {
    country: "Germany",
    male: ["Jürgen", "Lukas", "Emil", "Götz"],
    female: ["Käthe", "Hanna", "Mila", "Friederike"],
    last: ["Müller", "Weiß", "Schröder", "Krüger", "Vogt"],
    streets: ["Bahnhofstraße", "Am Anger", "Lindenweg", "Schulgasse"],
    cities: ["Görlitz", "Bad Tölz", "Kiel", "Fürth"],
    states: ["Sachsen", "Bayern", "Schleswig-Holstein", "Thüringen"],
    postcode: null,
    phone: "0###-#######",
    cell: "017#-#######",
    id: { name: "SVNR", value: "## ###### A ###" },
  },
  ES: {
    country: "Spain",
    male: ["José", "Íñigo", "Álvaro", "Hugo"],
    female: ["Lucía", "Begoña", "Inés", "Carmen"],
    last: ["Núñez", "García", "Ibáñez", "Peña", "Ruiz"],
    streets: ["Calle Mayor", "Avenida del Sol", "Paseo de Gracia"],
    cities: ["Logroño", "Cádiz", "León", "Gijón"],
    states: ["La Rioja", "Andalucía", "Castilla y León", "Asturias"],
    postcode: null,
    phone: "9##-###-###",
    cell: "6##-###-###",
    id: { name: "DNI", value: "########-A" },
  },
  FR: {
    country: "France",
    male: ["François", "Loïc", "Hugo", "Gaël"],
    female: ["Chloé", "Anaïs", "Maëlys", "Jeanne"],
    last: ["Lefèvre", "Dubois", "D'Aubigné", "Moreau", "Garnier"],
    streets: ["Rue de l'Église", "Place du Marché", "Rue Pasteur"],
    cities: ["Nîmes", "Besançon", "Saint-Étienne", "Lyon"],
    states: ["Gard", "Doubs", "Loire", "Rhône"],
    postcode: null,
    phone: "0#-##-##-##-##",
    cell: "06-##-##-##-##",
    id: { name: "INSEE", value: "1############ ##" },
  },
  GB: {
    country: "United Kingdom",
    male: ["Alfie", "George", "Rhys", "Callum"],
    female: ["Isla", "Poppy", "Siân", "Freya"],
    last: ["O'Neill", "Smith-Jones", "Wright", "Patel", "Evans"],
    streets: ["Church Lane", "Mill Road", "Queensway", "The Crescent"],
    cities: ["Bath", "Stoke-on-Trent", "Perth", "Swansea"],
    states: ["Somerset", "Staffordshire", "Tayside", "West Glamorgan"],
    postcode: "AA# #AA",
    phone: "01### ######",
    cell: "07### ######",
    id: { name: "NINO", value: "AA ## ## ## A" },
  },
  NZ: {
    country: "New Zealand",
    male: ["Wiremu", "Jack", "Nīkau", "Theo"],
    female: ["Aroha", "Ruby", "Māia", "Sophie"],
    last: ["Tūhoe", "Walker", "Ngata", "Harris"],
    streets: ["Great South Road", "Beach Road", "Tītoki Street"],
    cities: ["Whangārei", "Napier", "Dunedin"],
    states: ["Northland", "Hawke's Bay", "Otago"],
    postcode: null,
    phone: "(###)-###-####",
    cell: "(###)-###-####",
    id: { name: "", value: null },
  },
  UA: {
    country: "Ukraine",
    male: ["Тарас", "Юрій", "Олександр", "Богдан"],
    female: ["Оксана", "Леся", "Ганна", "Соломія"],
    last: ["Шевченко", "Коваль", "Бондаренко", "Лисенко"],
    streets: ["Вулиця Садова", "Площа Ринок", "Проспект Миру"],
    cities: ["Львів", "Полтава", "Житомир"],
    states: ["Львівська", "Полтавська", "Житомирська"],
    postcode: null,
    phone: "(067) A##-####",
    cell: "(096) A##-####",
    id: { name: "", value: null },
  },
  US: {
    country: "United States",
    male: ["James", "Diego", "Tyrone", "Wei"],
    female: ["Ava", "Grace", "Keisha", "Rosa"],
    last: ["Johnson", "Van Dyke", "Garcia", "Nguyen", "Lee"],
    streets: ["Valley View Ln", "E Pecan St", "Railroad Ave", "W 6th St"],
    cities: ["St. Paul", "Winston–Salem", "Coeur d'Alene", "Tulsa"],
    states: ["Minnesota", "North Carolina", "Idaho", "Oklahoma"],
    postcode: null,
    phone: "(###) ###-####",
    cell: "(###) ###-####",
    id: { name: "SSN", value: "###-##-####" },
  },
};

export const TIME_ZONES = [
  { offset: "-8:00", description: "Pacific Time (US & Canada)" },
  { offset: "-3:30", description: "Newfoundland" },
  { offset: "0:00", description: "Western Europe Time, London, Lisbon, Casablanca" },
  { offset: "+2:00", description: "Kaliningrad, South Africa" },
  { offset: "+5:45", description: "Kathmandu" },
  { offset: "+12:00", description: "Auckland, Wellington, Fiji, Kamchatka" },
] as const;

export const ANIMALS = ["panda", "goose", "tiger", "koala", "swan", "lion"] as const;
export const COLOURS = ["green", "silver", "tiny", "happy", "lazy", "red"] as const;
export const PASSWORDS = ["sunrise", "letmein", "harbour", "qwerty1", "bananas"] as const;

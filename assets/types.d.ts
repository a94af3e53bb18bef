// What the components are given and what they keep, for `tsc --checkJs`; the browser never sees this file.

/** What Streamlit hands to a component, with D as what Python sent. */
interface Given<D> {
    parentElement: HTMLElement;
    data: D;
    setTriggerValue(name: string, value: unknown): void;
    setStateValue(name: string, value: unknown): void;
}

// ------------------------------------------------------------------------------------------------ product_grid.js

interface GridCard {
    id: string;
    src: string;
    title: string;
    lines: string[];
    price: string;
    rank: string;
    closeness: string; // empty but on the card of an answer
    moved: string; // how rules changed its place, if they did
    pressed: string[]; // titles of its small buttons that are on
    percent?: number; // these three where a similarity is shown
    percent_text?: string;
    detail?: string;
    badges: string[];
    group: string;
    pair: { caption: string; src: string }[];
}

interface GridData {
    cards: GridCard[];
    action: string;
    small: string[]; // titles of the small buttons below each card
    movable: boolean; // whether a card can be moved to another place
}

interface Grid extends HTMLElement {
    shown?: string;
    pick(id: string): void;
    press(what: [title: string, id: string]): void;
    move(what: [id: string, place: number]): void;
    dragged?: string; // id of the card that is being dragged
}

// ------------------------------------------------------------------------------------------------- check_table.js

interface CheckSide {
    title: string;
    lines: string[];
    src: string;
}

interface CheckRow {
    id: string;
    product: CheckSide;
    twins: (CheckSide & { id: string })[];
    twin: string; // the one that is shown
    decided: string; // "keep", "reject", or nothing yet
}

interface CheckData {
    key: string; // tells one table from another
    rows: CheckRow[]; // of this page
    page: number; // from 1
    pages: number;
    total: number; // rows of all pages
    elsewhere: number; // checked on other pages
    heard: number; // number of the last decision that Python knows
}

interface CheckTable {
    root: CheckTableRoot;
    list: HTMLElement;
    data: CheckData;
    at: number;
    last: number; // number of the last decision, ever higher
    unheard: [number: number, id: string, decided: string, twin: string][];
    done: [id: string, decided: string, twin: string][]; // what each undo brings back
    turning: string; // the row to begin with on a page that is awaited
    shown?: number; // the page
    send: Given<CheckData>["setTriggerValue"];
}

interface CheckTableRoot extends HTMLElement {
    table?: CheckTable;
    text?: string;
}

// ------------------------------------------------------------------------------------------------- query_photo.js

type Edges = [number, number, number, number]; // left, top, right, bottom, as fractions

interface QueryPhotoData {
    src: string; // empty where the photo cannot be read
    region: Edges | null;
}

/** What is known of the photo between two calls. */
interface QueryPhoto {
    root: HTMLElement;
    stage: HTMLElement;
    image: HTMLImageElement;
    box: HTMLElement;
    fields: HTMLInputElement[];
    edges: Edges | null;
    sent: string[]; // and not heard of yet
    heard: string;
    send: Given<QueryPhotoData>["setTriggerValue"];
    timer?: number;
    // While a pointer is down: named edges are dragged, none for all of the box, null draws a new one.
    held?: { start: [number, number]; at: [number, number]; before: Edges | null; named: string | null; moved?: boolean };
}

interface QueryPhotoRoot extends HTMLElement {
    photo: QueryPhoto;
}

// --------------------------------------------------------------------------------------------------- copy_link.js

interface CopyLinkData {
    query: string; // of the link, with its question mark
}

// -------------------------------------------------------------------------------------------------- photo_ways.js

interface PhotoWaysData {
    uploader: string; // class of what holds the file input
    suffixes: string[];
    most_mb: number;
    formats: string;
}

interface PhotoWays {
    root: HTMLElement;
    data: PhotoWaysData;
    stop: AbortController;
}

interface PhotoWaysRoot extends HTMLElement {
    ways?: PhotoWays;
}

// ------------------------------------------------------------------------------------------------------- story.js

interface StoryData {
    act: number; // from 1
    titles: string[];
    notes: string[][]; // paragraphs of each act; none in the window that shows the acts
}

interface Story {
    root: HTMLElement;
    data: StoryData;
    act: number;
    begun: number; // when the act began, in milliseconds
    send: Given<StoryData>["setTriggerValue"];
    channel: BroadcastChannel;
    stop: AbortController;
}

interface StoryRoot extends HTMLElement {
    story?: Story;
}

// ------------------------------------------------------------------------------------------------ explore_card.js

interface PointCard {
    map: string;
    at: number;
    title: string;
    lines: string[];
    src: string;
}

// ------------------------------------------------------------------------------------------------- explore_map.js

type Numbers = Float32Array | Uint8Array | Uint16Array;
type Scale = [number, string][];

/** A table of Apache Arrow, as far as it is used. */
interface ArrowTable {
    getChild(name: string): { toArray(): Uint16Array } | null;
}

/** Colours of a column of texts, one for each name. */
interface TextColumn {
    kind: "texts";
    names: string[];
    light: string[];
    dark: string[];
}

/** Colour scale of a column of numbers. */
interface NumberColumn {
    kind: "numbers";
    title: string;
    low: number;
    high: number;
    light: Scale;
    dark: Scale;
}

type Spot = number | [number, number]; // the number of a point, or a place of its own

interface MapData {
    points: ArrowTable;
    plotly: string;
    version: string;
    map: string;
    low: number[];
    high: number[];
    column: TextColumn | NumberColumn;
    splits: string[];
    selected: number[];
    camera: string;
    lines: { from: Spot; to: number[]; colour: [string, string]; dash: string }[];
    rings: { at: Spot; symbol: string }[];
    fly: { at: number; turn: number } | null;
    height: number;
}

interface Theme {
    ground: string;
    text: string;
    line: string;
    font: string;
    dark: boolean;
}

type Trace = Record<string, unknown>;

interface PlotEvent {
    points: { curveNumber: number; pointNumber: number }[];
    event?: MouseEvent;
}

type Axes = Record<"x" | "y" | "z", number>;

interface Plot extends HTMLElement {
    data: Trace[];
    // There from the first drawing on:
    on(name: "plotly_hover" | "plotly_click" | "plotly_selected", listener: (event: PlotEvent) => void): void;
    on(name: "plotly_unhover" | "plotly_deselect", listener: () => void): void;
    on(name: "plotly_relayout", listener: (change: object) => void): void;
    _fullLayout: {
        scene: { camera: { eye: Axes; center: Axes } };
        xaxis: { range: number[] };
        yaxis: { range: number[] };
    };
}

/** Plotly.js, as far as it is used. */
interface PlotlyLibrary {
    react(plot: Plot, traces: Trace[], layout: object, options: object): Promise<unknown>;
    restyle(plot: Plot, change: object, traces: number[]): Promise<unknown>;
    relayout(plot: Plot, change: object): Promise<unknown>;
    addTraces(plot: Plot, traces: Trace[]): Promise<unknown>;
    deleteTraces(plot: Plot, traces: number[]): Promise<unknown>;
}

/** What one map knows between two calls; what `take` and `draw` fill in is there from the first drawing on. */
interface MapState {
    root: MapRoot;
    plot: Plot;
    webgl: boolean;
    queue: Promise<void>;
    hovered: number | null;
    pointer: [number, number];
    turn: number;
    later: Map<string, unknown>;
    busyUntil: number;
    onCard(event: CustomEvent<PointCard>): void;
    data: MapData;
    x: Numbers;
    y: Numbers;
    z: Numbers | null;
    codes: Numbers;
    marks: Numbers;
    members: number[][];
    Plotly: PlotlyLibrary;
    send: Given<MapData>["setTriggerValue"];
    keep: Given<MapData>["setStateValue"];
    drawn?: string;
    above?: string;
    marked?: string;
    flown?: number;
    flying?: boolean;
    laterTimer?: number;
    hoverTimer?: number;
    cameraTimer?: number;
}

interface MapRoot extends HTMLElement {
    twinset?: MapState;
}

interface Window {
    Plotly?: PlotlyLibrary;
    twinsetPlotly?: Promise<PlotlyLibrary>;
}

interface WindowEventMap {
    "twinset-card": CustomEvent<PointCard>;
}

//! The words of mails in Spanish, English and Portuguese: one table, so that a language is one column.
//!
//! Definitions of the numbers are not here: they are [`Indicator::about`], in one place.

use crate::indicators::{Clock, Indicator, Labels, Stage, State};
use crate::matrix::engine::Reason;
use crate::matrix::{Language, Level, Medium};
use crate::plan::{Plan, Window, WindowKind};

use super::values;

/// Picks the language's column of a row of the tables below.
const fn pick(language: Language, es: &'static str, en: &'static str, pt: &'static str) -> &'static str {
    match language {
        Language::Es => es,
        Language::En => en,
        Language::Pt => pt,
    }
}

macro_rules! words {
    ($($name:ident = $es:literal, $en:literal, $pt:literal;)*) => {
        $(pub fn $name(language: Language) -> &'static str { pick(language, $es, $en, $pt) })*
    };
}
words! {
    todo = "Qué hacer", "What to do", "O que fazer";
    goal = "objetivo", "goal", "meta";
    value_now = "Ahora", "Now", "Agora";
    value_last = "Último valor", "Last value", "Último valor";
    since = "Desde", "Since", "Desde";
    held_since = "Retenido en horas de silencio, de las", "Held in quiet hours, as of", "Retido em horas de silêncio, das";
    lasted = "Duró", "Lasted", "Durou";
    samples = "Muestras", "Samples", "Amostras";
    window = "Ventana", "Window", "Janela";
    range = "Rango", "Range", "Faixa";
    reason = "Motivo", "Reason", "Motivo";
    trend = "Tendencia", "Trend", "Tendência";
    waiting = "En espera", "Waiting", "Em espera";
    agents = "Agentes", "Agents", "Agentes";
    told = "También avisados", "Also told", "Também avisados";
    nobody_else = "nadie más", "nobody else", "mais ninguém";
    next = "Qué sigue", "What comes next", "O que vem depois";
    measures = "Qué mide", "What it measures", "O que mede";
    board = "Tablero", "Board", "Painel";
    matrix = "Matriz", "Matrix", "Matriz";
    incident = "Incidente", "Incident", "Incidente";
    no_data = "sin datos", "no data", "sem dados";
    all_queues = "todas las colas", "all queues", "todas as filas";
    all_channels = "todos los canales", "all channels", "todos os canais";
    everything = "todas las colas y canales", "all queues and channels", "todas as filas e canais";
    test = "PRUEBA", "TEST", "TESTE";
    in_hours = "en horario de atención", "in opening hours", "em horário de atendimento";
    acknowledge = "Reconocer", "Acknowledge", "Reconhecer";
    acknowledge_link = "Reconocer el incidente", "Acknowledge the incident", "Reconhecer o incidente";
    link_holds = "enlace válido por 24 horas", "link valid for 24 hours", "link válido por 24 horas";
    acknowledge_by = "Para reconocerlo", "To acknowledge it", "Para reconhecê-lo";
    acknowledged_by = "Reconocido por", "Acknowledged by", "Reconhecido por";
    silenced = "Silenciado por", "Silenced by", "Silenciado por";
    until = "hasta", "until", "até";
    who = "Quién lo toma", "Who takes it", "Quem assume";
    link_broken = "Este enlace no es válido. Use el del correo, entero.", "This link is not valid. Use the one in the mail, whole.", "Este link não é válido. Use o do e-mail, inteiro.";
    link_ended = "Este enlace venció. Use el de un correo más reciente, o el tablero.", "This link has ended. Use that of a newer mail, or the board.", "Este link expirou. Use o de um e-mail mais recente, ou o painel.";
    incident_over = "Este incidente ya terminó: no hay nada que reconocer.", "This incident is over: there is nothing to acknowledge.", "Este incidente já terminou: não há nada a reconhecer.";
    page_language = "es", "en", "pt";
}

/// The word a subject begins with.
pub fn level(language: Language, level: Level) -> &'static str {
    match level {
        Level::Ok => pick(language, "RESUELTO", "RESOLVED", "RESOLVIDO"),
        Level::Info => pick(language, "AVISO", "NOTICE", "AVISO"),
        Level::Warning => pick(language, "ADVERTENCIA", "WARNING", "ADVERTÊNCIA"),
        Level::Critical => pick(language, "CRÍTICO", "CRITICAL", "CRÍTICO"),
    }
}

pub fn medium(language: Language, medium: Medium) -> &'static str {
    match medium {
        Medium::Email => pick(language, "correo", "e-mail", "e-mail"),
        Medium::Webhook => "webhook",
    }
}

/// Why this notice is sent.
pub fn why(language: Language, reason: Reason) -> &'static str {
    match reason {
        Reason::Range => {
            pick(language, "el valor entró en este rango", "the value entered this range", "o valor entrou nesta faixa")
        }
        Reason::NoData => pick(language, "no hay datos", "there is no data", "não há dados"),
        Reason::Recovered => {
            pick(language, "el valor volvió a estar bien", "the value is well again", "o valor voltou ao normal")
        }
        Reason::Repeat => pick(language, "recordatorio: sigue así", "reminder: it goes on", "lembrete: continua assim"),
        Reason::Escalation => pick(
            language,
            "escalamiento: sigue sin resolverse",
            "escalation: still not resolved",
            "escalonamento: ainda não resolvido",
        ),
        Reason::Opened => {
            pick(language, "al abrir seguía así", "it was still so at opening", "na abertura continuava assim")
        }
        Reason::Improved => pick(
            language,
            "mejoró, pero aún no está bien",
            "better, but not well yet",
            "melhorou, mas ainda não está bem",
        ),
        Reason::SilenceEnded => pick(language, "terminó el silencio", "the silence ended", "o silêncio terminou"),
        Reason::Feed => pick(language, "la fuente de datos falla", "the data feed fails", "a fonte de dados falha"),
        Reason::Flapping => pick(
            language,
            "cambia de nivel una y otra vez: hasta que se estabilice solo se avisa si empeora",
            "it changes its level again and again: until it settles, only a worse level is told",
            "muda de nível repetidamente: até estabilizar, só se avisa se piorar",
        ),
        Reason::Refused => pick(
            language,
            "el archivo cambió y tiene errores: sigue en vigor la matriz anterior",
            "the file changed and has defects: the matrix before it stays in force",
            "o arquivo mudou e tem erros: continua em vigor a matriz anterior",
        ),
        Reason::Removed => pick(
            language,
            "la matriz ya no tiene esta regla: nadie vigila este indicador",
            "the matrix no longer has this rule: nobody watches this indicator",
            "a matriz já não tem esta regra: ninguém vigia este indicador",
        ),
        Reason::HeldBack => pick(
            language,
            "eran más avisos de los que se envían en una hora",
            "there were more notices than are sent in an hour",
            "havia mais avisos do que se enviam em uma hora",
        ),
    }
}

/// `11:02: se repite, y así cada 30 min mientras siga`.
pub fn repeats(language: Language, at: &str, every: &str) -> String {
    match language {
        Language::Es => format!("{at}: se repite, y así cada {every} mientras siga"),
        Language::En => format!("{at}: repeated, and so every {every} while it lasts"),
        Language::Pt => format!("{at}: repete-se, e assim a cada {every} enquanto durar"),
    }
}

/// In the place of what comes next, while somebody has it.
pub fn rests(language: Language) -> &'static str {
    pick(
        language,
        "mientras esté reconocido no se repite ni se avisa a nadie más",
        "while it is acknowledged nothing is repeated and nobody else is told",
        "enquanto estiver reconhecido não se repete nem se avisa mais ninguém",
    )
}

/// Behind how many wait: `, la más antigua 51 min`.
pub fn oldest(language: Language, age: &str) -> String {
    match language {
        Language::Es => format!(", la más antigua {age}"),
        Language::En => format!(", the oldest for {age}"),
        Language::Pt => format!(", a mais antiga há {age}"),
    }
}

/// `mín. 11 min, máx. 47 min`.
pub fn least_and_most(language: Language, least: &str, most: &str) -> String {
    match language {
        Language::Es | Language::Pt => format!("mín. {least}, máx. {most}"),
        Language::En => format!("min. {least}, max. {most}"),
    }
}

/// `10:52: se avisa a manager`.
pub fn escalates(language: Language, at: &str, who: &str) -> String {
    match language {
        Language::Es => format!("{at}: se avisa a {who}"),
        Language::En => format!("{at}: {who} is told"),
        Language::Pt => format!("{at}: avisa-se {who}"),
    }
}

/// What to do about a feed that lags or is dead: no row says it.
pub fn feed_action(language: Language) -> &'static str {
    pick(
        language,
        "Revisar quién envía estos eventos y si se leen. Mientras falten, nadie vigila lo que depende de ellos: mire la operación directamente.",
        "Check who sends these events and whether they are read. While they are missing nobody watches what depends on them: look at the floor itself.",
        "Verificar quem envia estes eventos e se são lidos. Enquanto faltarem, ninguém vigia o que depende deles: olhe a operação diretamente.",
    )
}

/// How many defects a file has: `errores: 2`.
pub fn defects(language: Language, count: &str) -> String {
    match language {
        Language::Es => format!("errores: {count}"),
        Language::En => format!("defects: {count}"),
        Language::Pt => format!("erros: {count}"),
    }
}

/// The line on top of a notice that somebody has sent to try whether notices arrive.
pub fn test_notice(language: Language) -> &'static str {
    pick(
        language,
        "Esto es una prueba de Atalaya: no pasa nada y no hay nada que hacer.",
        "This is a test by Atalaya: nothing is wrong and there is nothing to do.",
        "Isto é um teste do Atalaya: nada aconteceu e não há nada a fazer.",
    )
}

/// The line on top of a notice that comes late.
pub fn late(language: Language, decided: &str) -> String {
    match language {
        Language::Es => format!("Este aviso llega tarde: se decidió a las {decided} y no se pudo entregar antes."),
        Language::En => {
            format!("This notice comes late: it was decided at {decided} and could not be delivered before.")
        }
        Language::Pt => format!("Este aviso chega atrasado: foi decidido às {decided} e não pôde ser entregue antes."),
    }
}

/// The line on top of a notice of an incident that was found again after a restart.
pub fn restarted(language: Language) -> &'static str {
    pick(
        language,
        "Atalaya se reinició y encontró este incidente abierto: puede haberse avisado antes.",
        "Atalaya was restarted and found this incident open: it may have been told before.",
        "O Atalaya foi reiniciado e encontrou este incidente aberto: ele pode já ter sido avisado.",
    )
}

/// The line on top of a notice that stands in for one that could not be delivered.
pub fn missed(language: Language, who: &str, medium: &str, why: &str) -> String {
    match language {
        Language::Es => {
            format!("No se pudo avisar a {who} por {medium} ({why}). Este aviso llega a usted en su lugar.")
        }
        Language::En => format!("{who} could not be told by {medium} ({why}). This notice comes to you instead."),
        Language::Pt => {
            format!("Não foi possível avisar {who} por {medium} ({why}). Este aviso chega a você no lugar.")
        }
    }
}

/// The end of the subject of such a notice: `no avisado: lead`.
pub fn not_told(language: Language, who: &str) -> String {
    match language {
        Language::Es => format!("no avisado: {who}"),
        Language::En => format!("not told: {who}"),
        Language::Pt => format!("não avisado: {who}"),
    }
}

/// `últimos 15 min`, `hoy`.
pub fn window_of(language: Language, window: &Window) -> String {
    match window.kind {
        WindowKind::Sliding(length) => {
            let length = values::duration(length.as_seconds(), language, &[]);
            format!("{} {length}", pick(language, "últimos", "last", "últimos"))
        }
        WindowKind::Interval => {
            pick(language, "intervalo en curso", "running interval", "intervalo em curso").to_owned()
        }
        WindowKind::LastInterval => {
            pick(language, "intervalo anterior", "last interval", "intervalo anterior").to_owned()
        }
        WindowKind::Today => pick(language, "hoy", "today", "hoje").to_owned(),
    }
}

pub fn state(language: Language, state: State) -> &'static str {
    match state {
        State::Available => pick(language, "disponibles", "available", "disponíveis"),
        State::Handling => pick(language, "atendiendo", "handling", "atendendo"),
        State::Wrapup => pick(language, "en cierre de gestión", "in wrap-up", "em pós-atendimento"),
        State::Unproductive => pick(language, "en auxiliares", "unproductive", "em pausa"),
        State::Offline => pick(language, "desconectados", "offline", "desconectados"),
        State::Elsewhere => pick(language, "ocupados en otra cola", "busy elsewhere", "ocupados em outra fila"),
        State::Connected => pick(language, "conectados", "connected", "conectados"),
    }
}

fn stage(language: Language, stage: Stage) -> &'static str {
    match stage {
        Stage::Triage => pick(language, "clasificación", "triage", "triagem"),
        Stage::Queue => pick(language, "en cola", "queue", "na fila"),
        Stage::Reply => pick(language, "primera respuesta", "reply", "primeira resposta"),
        Stage::Handling => pick(language, "atención", "handling", "atendimento"),
        Stage::Customer => pick(language, "turno del cliente", "customer's turn", "vez do cliente"),
        Stage::Parked => pick(language, "en pausa", "parked", "em espera"),
        Stage::Wrapup => pick(language, "cierre de gestión", "wrap-up", "pós-atendimento"),
    }
}

/// `Nivel de servicio en 20 s`, `Agentes (disponibles)`.
pub fn indicator(language: Language, indicator: &Indicator, labels: &Labels, plan: &Plan) -> String {
    let named = INDICATORS.iter().find(|(name, ..)| *name == indicator.name);
    let mut text = match named {
        Some((_, es, en, pt)) => pick(language, es, en, pt).to_owned(),
        None => indicator.name.replace('_', " "),
    };
    if let Some(threshold) = labels.threshold.and_then(|index| plan.thresholds.get(index)) {
        let within = values::duration(threshold.within.as_seconds(), language, &[]);
        text.push_str(&format!(" {} {within}", pick(language, "en", "within", "em")));
    }
    if let Some(which) = labels.state {
        text.push_str(&format!(" ({})", state(language, which)));
    }
    if let Some(which) = labels.stage {
        text.push_str(&format!(" ({})", stage(language, which)));
    }
    if labels.clock == Clock::Open {
        text.push_str(&format!(", {}", in_hours(language)));
    }
    text
}

type Named = (&'static str, &'static str, &'static str, &'static str);

/// Name, es, en, pt. An indicator that is not here is shown by its own name.
const INDICATORS: &[Named] = &[
    ("asa", "Velocidad de respuesta (ASA)", "Average speed of answer (ASA)", "Velocidade de resposta (ASA)"),
    (
        "asa_live",
        "Velocidad de respuesta con los que esperan",
        "Speed of answer with those still waiting",
        "Velocidade de resposta com os que esperam",
    ),
    ("wait_p50", "Espera mediana", "Median wait", "Espera mediana"),
    ("wait_p90", "Espera del 90 %", "90th percentile of waits", "Espera de 90 %"),
    ("wait_p95", "Espera del 95 %", "95th percentile of waits", "Espera de 95 %"),
    ("wait_p99", "Espera del 99 %", "99th percentile of waits", "Espera de 99 %"),
    ("wait_max", "Espera más larga de las respondidas", "Longest answered wait", "Maior espera respondida"),
    ("waiting", "En espera", "Waiting", "Em espera"),
    ("oldest_wait", "Espera más antigua", "Oldest wait", "Espera mais antiga"),
    ("unanswered", "Sin responder", "Unanswered", "Sem resposta"),
    (
        "oldest_unanswered",
        "Mensaje sin responder más antiguo",
        "Oldest unanswered message",
        "Mensagem sem resposta mais antiga",
    ),
    ("unqueued", "Sin cola asignada", "In no queue yet", "Sem fila"),
    ("oldest_unqueued", "Contacto sin cola más antiguo", "Oldest in no queue yet", "Contato sem fila mais antigo"),
    ("arrivals", "Llegadas", "Arrivals", "Chegadas"),
    ("queued", "Entradas a la cola", "Queued", "Entradas na fila"),
    ("answered", "Respondidas", "Answered", "Respondidas"),
    ("abandoned", "Abandonadas", "Abandoned", "Abandonadas"),
    ("closed", "Cerradas", "Closed", "Encerradas"),
    ("closed_unanswered", "Cerradas sin respuesta", "Closed unanswered", "Encerradas sem resposta"),
    ("expired", "Vencidas por inactividad", "Expired", "Expiradas por inatividade"),
    ("replies", "Respuestas", "Replies", "Respostas"),
    ("backlog", "Casos abiertos", "Open backlog", "Casos abertos"),
    ("backlog_aged", "Casos abiertos de más de", "Open longer than", "Casos abertos há mais de"),
    ("backlog_change", "Cambio de casos abiertos", "Change of backlog", "Variação de casos abertos"),
    ("service_level", "Nivel de servicio", "Service level", "Nível de serviço"),
    (
        "service_level_live",
        "Nivel de servicio con los que esperan",
        "Service level with those still waiting",
        "Nível de serviço com os que esperam",
    ),
    ("abandonment", "Abandono", "Abandonment", "Abandono"),
    ("first_response_time", "Tiempo de primera respuesta", "First response time", "Tempo de primeira resposta"),
    ("response_time", "Tiempo de respuesta", "Response time", "Tempo de resposta"),
    ("resolution_time", "Tiempo de resolución", "Resolution time", "Tempo de resolução"),
    ("aht", "Tiempo medio de atención (AHT)", "Average handling time (AHT)", "Tempo médio de atendimento (AHT)"),
    ("acw", "Trabajo posterior al contacto (ACW)", "After-contact work (ACW)", "Trabalho pós-contato (ACW)"),
    ("occupancy", "Ocupación", "Occupancy", "Ocupação"),
    ("utilization", "Utilización", "Utilization", "Utilização"),
    ("slot_occupancy", "Ocupación de cupos", "Slot occupancy", "Ocupação de vagas"),
    ("concurrency", "Concurrencia", "Concurrency", "Concorrência"),
    ("agents", "Agentes", "Agents", "Agentes"),
    ("state_time", "Tiempo de agentes", "Agents' time", "Tempo de agentes"),
    ("state_entries", "Entradas de agentes", "Agents' entries", "Entradas de agentes"),
    ("stage_time", "Tiempo de etapa", "Stage time", "Tempo de etapa"),
    ("stage_time_p90", "Tiempo de etapa del 90 %", "90th percentile of stage time", "Tempo de etapa de 90 %"),
    ("matrix", "Matriz de escalado rechazada", "Escalation matrix refused", "Matriz de escalonamento recusada"),
    ("feed", "Fuente de datos detenida", "Data feed stopped", "Fonte de dados parada"),
    ("stage_share", "Parte de la etapa", "Stage share", "Parte da etapa"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_indicator_has_its_words() {
        for indicator in crate::indicators::all() {
            assert!(INDICATORS.iter().any(|(name, ..)| *name == indicator.name), "no words for {}", indicator.name);
        }
    }
}
